# RichSem on DINO with LVIS v1 and ImageNet-LVIS, 12 epochs of LVIS: AP / APr 35.0 / 30.4 in the
# paper, 33.8 / 26.9 with Detic (supplement, Table 4; the schedule is not said).
_base_ = [
    '../_base_/models/dino-4scale_r50_richsem.py',
    '../_base_/datasets/lvis_v1_dino_image-level.py',
    '../_base_/schedules/schedule_dino_12e.py',
    '../_base_/default_runtime.py',
]

model = dict(
    bbox_head=dict(
        num_classes=_base_.num_classes, loss_cls=dict(num_classes=_base_.num_classes)))
