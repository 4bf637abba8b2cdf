# Stage 1 on Emoji-LT mini: sigmoid classifier with objectness.
_base_ = [
    '../_base_/models/faster-rcnn_effnet-lite0_fpn.py',
    '../_base_/datasets/emoji-lt.py',
    '../_base_/schedules/schedule_emoji-lt_stage1.py',
    '../_base_/default_runtime.py',
]

model = dict(roi_head=dict(bbox_head=dict(num_classes=_base_.num_classes)))
