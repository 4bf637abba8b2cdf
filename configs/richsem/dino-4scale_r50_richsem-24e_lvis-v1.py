# RichSem on DINO with LVIS v1 and ImageNet-LVIS, 24 epochs of LVIS: AP / APr 37.3 / 30.7 (official
# code).
_base_ = [
    '../_base_/models/dino-4scale_r50_richsem.py',
    '../_base_/datasets/lvis_v1_dino_image-level.py',
    '../_base_/schedules/schedule_dino_24e.py',
    '../_base_/default_runtime.py',
]

model = dict(
    bbox_head=dict(
        num_classes=_base_.num_classes, loss_cls=dict(num_classes=_base_.num_classes)))
