# Pairwise class balance: a softmax loss with soft targets in an iterative box head. A config on top
# sets bbox_head.num_classes.
_base_ = './faster-rcnn_r50_fpn.py'

model = dict(
    roi_head=dict(
        bbox_head=dict(
            type='IterativeBBoxHead',
            iteration_weights=(0.2, 0.2, 0.6),  # of the classification losses
            loss_cls=dict(
                _delete_=True,
                type='PairwiseBalancedSoftmaxLoss',
                soft_share=0.4,  # alpha
                soft_start=16,  # epoch, from 0
                momentum=0.01))))  # weight of the new scores in the confusion matrix
