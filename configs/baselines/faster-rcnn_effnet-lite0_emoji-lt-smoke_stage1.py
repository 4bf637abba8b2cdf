# Stage 1 on Emoji-LT smoke: sigmoid classifier with objectness.
_base_ = [
    '../_base_/models/faster-rcnn_effnet-lite0_fpn.py',
    '../_base_/datasets/emoji-lt-smoke.py',
    '../_base_/schedules/schedule_emoji-lt_stage1.py',
    '../_base_/default_runtime.py',
]

model = dict(roi_head=dict(bbox_head=dict(num_classes=_base_.num_classes)))

train_cfg = dict(max_epochs=2)
