# Stage 1 of BACL with Swin-T, LVIS v1, 12 epochs.
_base_ = [
    '../_base_/models/faster-rcnn_swin-t_fpn_bacl-stage1.py',
    '../_base_/datasets/lvis_v1_copy-paste.py',
    '../_base_/schedules/schedule_1x_adamw.py',
    '../_base_/default_runtime.py',
]

model = dict(roi_head=dict(bbox_head=dict(num_classes=_base_.num_classes)))
