# Pairwise class balance on Emoji-LT mini in one stage, as long as both stages together.
_base_ = '../baselines/faster-rcnn_effnet-lite0_emoji-lt-mini_sce.py'

model = dict(
    roi_head=dict(
        bbox_head=dict(
            type='IterativeBBoxHead',
            iteration_weights=(0.2, 0.2, 0.6),  # of the classification losses
            loss_cls=dict(
                _delete_=True,
                type='PairwiseBalancedSoftmaxLoss',
                soft_share=0.4,  # alpha
                soft_start=5,  # of 8 epochs; 16 of 24 in the paper
                momentum=0.01))))  # weight of the new scores in the confusion matrix
