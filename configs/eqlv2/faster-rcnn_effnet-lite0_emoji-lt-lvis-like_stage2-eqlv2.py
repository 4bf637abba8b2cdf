# Stage 2 on Emoji-LT lvis-like: EQL v2 on the frozen extractor.
_base_ = '../baselines/faster-rcnn_effnet-lite0_emoji-lt-lvis-like_stage2-bce.py'

# The training tool starts from the last checkpoint of this config.
stage1_config = '../baselines/faster-rcnn_effnet-lite0_emoji-lt-lvis-like_stage1.py'

model = dict(
    roi_head=dict(
        bbox_head=dict(loss_cls=dict(type='EqualizationLossV2', gamma=12.0, mu=0.8, alpha=4.0))))
