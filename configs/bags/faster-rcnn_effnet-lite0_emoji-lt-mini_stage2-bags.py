# Stage 2 on Emoji-LT mini: BAGS, a new classifier on the frozen detector.
_base_ = '../baselines/faster-rcnn_effnet-lite0_emoji-lt-mini_stage2-sce.py'

# The training tool starts from the last checkpoint of this config.
stage1_config = '../baselines/faster-rcnn_effnet-lite0_emoji-lt-mini_stage1.py'

model = dict(
    trainable=('fc_cls',),
    roi_head=dict(
        bbox_head=dict(
            loss_cls=dict(
                _delete_=True,
                type='GroupSoftmaxLoss',
                thresholds=(10, 100, 1000),  # instances
                others_ratio=8.0))))  # beta
