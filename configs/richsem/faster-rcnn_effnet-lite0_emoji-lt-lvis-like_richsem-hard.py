# Image labels alone on Emoji-LT lvis-like (Detic's largest box): no teacher, no semantic branch.
_base_ = [
    '../_base_/models/faster-rcnn_effnet-lite0_fpn_richsem.py',
    '../_base_/datasets/emoji-lt-lvis-like_image-level.py',
    '../_base_/schedules/schedule_emoji-lt_lvis-like_finetune.py',
    '../_base_/default_runtime.py',
]

# The training tool starts from the last checkpoint of this config.
stage1_config = '../baselines/faster-rcnn_effnet-lite0_emoji-lt-lvis-like_stage1.py'

model = dict(
    teacher=None,
    roi_head=dict(semantic_branch=None, bbox_head=dict(num_classes=_base_.num_classes)))
