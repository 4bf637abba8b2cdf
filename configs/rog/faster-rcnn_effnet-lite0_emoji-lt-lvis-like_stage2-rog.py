# Stage 2 on Emoji-LT lvis-like: ROG with the loss of stage 1 on the frozen extractor.
_base_ = [
    '../_base_/models/faster-rcnn_effnet-lite0_fpn_stage2.py',
    '../_base_/datasets/emoji-lt-lvis-like.py',
    '../_base_/schedules/schedule_emoji-lt_lvis-like_stage2.py',
    '../_base_/default_runtime.py',
]

# The training tool starts from the last checkpoint of this config.
stage1_config = '../baselines/faster-rcnn_effnet-lite0_emoji-lt-lvis-like_stage1.py'

model = dict(
    roi_head=dict(
        bbox_head=dict(
            num_classes=_base_.num_classes,
            loss_cls=dict(
                type='ROGLoss', loss=dict(type='ObjectnessBCELoss'), ranking_weight=0.1,
                gamma=1.0))))
