# Stage 1 on Emoji-LT lvis-like, of every stage 2: sigmoid classifier with objectness.
_base_ = [
    '../_base_/models/faster-rcnn_effnet-lite0_fpn.py',
    '../_base_/datasets/emoji-lt-lvis-like.py',
    '../_base_/schedules/schedule_emoji-lt_stage1.py',
    '../_base_/default_runtime.py',
]

model = dict(roi_head=dict(bbox_head=dict(num_classes=_base_.num_classes)))

train_cfg = dict(max_epochs=3)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=50),  # iterations
    dict(
        type='CosineAnnealingLR', T_max=3, eta_min=6e-6, by_epoch=True, begin=0, end=3,
        convert_to_iter_based=True),  # epochs
]
