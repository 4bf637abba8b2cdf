# Stage 1 on Emoji-LT lvis-like, trained on for an epoch with all layers: what methods that
# fine-tune it are compared with.
_base_ = [
    '../_base_/models/faster-rcnn_effnet-lite0_fpn.py',
    '../_base_/datasets/emoji-lt-lvis-like.py',
    '../_base_/schedules/schedule_emoji-lt_lvis-like_finetune.py',
    '../_base_/default_runtime.py',
]

# The training tool starts from the last checkpoint of this config.
stage1_config = './faster-rcnn_effnet-lite0_emoji-lt-lvis-like_stage1.py'

model = dict(
    backbone=dict(init_cfg=None),  # all weights come from stage 1
    roi_head=dict(bbox_head=dict(num_classes=_base_.num_classes)))
