# Stage 2 on Emoji-LT lvis-like: the loss of pairwise class balance and a new classifier on the
# frozen extractor, without iterations, which would change the input of frozen layers.
_base_ = '../baselines/faster-rcnn_effnet-lite0_emoji-lt-lvis-like_stage2-sce.py'

# The training tool starts from the last checkpoint of this config.
stage1_config = '../baselines/faster-rcnn_effnet-lite0_emoji-lt-lvis-like_stage1.py'

model = dict(
    roi_head=dict(
        bbox_head=dict(
            loss_cls=dict(
                _delete_=True,
                type='PairwiseBalancedSoftmaxLoss',
                soft_share=0.4,  # alpha
                soft_start=1,  # of 2 epochs
                momentum=0.01))))  # weight of the new scores in the confusion matrix
