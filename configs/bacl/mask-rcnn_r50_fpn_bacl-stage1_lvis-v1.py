# Stage 1 of BACL on Mask R-CNN, LVIS v1, 12 epochs.
_base_ = [
    '../_base_/models/mask-rcnn_r50_fpn_bacl-stage1.py',
    '../_base_/datasets/lvis_v1_instance_copy-paste.py',
    '../_base_/schedules/schedule_1x.py',
    '../_base_/default_runtime.py',
]

model = dict(
    roi_head=dict(
        bbox_head=dict(num_classes=_base_.num_classes),
        mask_head=dict(num_classes=_base_.num_classes)))

optim_wrapper = dict(optimizer=dict(weight_decay=5e-5))
