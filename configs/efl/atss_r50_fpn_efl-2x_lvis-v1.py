# EFL, LVIS v1, 24 epochs with repeat factor sampling, 8 GPUs x 2 images. Officially the centerness
# is a branch that predicts the IoU.
_base_ = [
    '../_base_/models/atss_r50_fpn.py',
    '../_base_/datasets/lvis_v1_rfs.py',
    '../_base_/schedules/schedule_2x.py',
    '../_base_/default_runtime.py',
]

model = dict(
    bbox_head=dict(
        num_classes=_base_.num_classes,
        loss_cls=dict(
            type='EqualizedFocalLoss', num_classes=_base_.num_classes, scale_factor=8.0)))

optim_wrapper = dict(optimizer=dict(lr=0.01))
