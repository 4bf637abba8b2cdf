# Pairwise class balance with Seesaw loss, LVIS v1, 24 epochs. Officially with Mask R-CNN, repeat
# factor sampling and in half precision.
_base_ = '../seesaw/faster-rcnn_r50_fpn_seesaw-2x_lvis-v1.py'

model = dict(
    roi_head=dict(
        bbox_head=dict(
            type='IterativeBBoxHead',
            iteration_weights=(0.2, 0.2, 0.6),  # of the classification losses
            loss_cls=dict(
                type='PairwiseBalancedSeesawLoss',
                soft_share=0.05,  # alpha
                soft_start=16,  # epoch, from 0
                momentum=0.01))))  # weight of the new scores in the confusion matrix
