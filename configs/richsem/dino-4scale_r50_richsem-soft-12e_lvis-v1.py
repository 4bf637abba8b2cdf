# RichSem's soft labels on LVIS v1 alone, without image-level data. With all annotations the paper
# finds little change by them.
_base_ = [
    '../_base_/models/dino-4scale_r50_richsem.py',
    '../_base_/datasets/lvis_v1_dino.py',
    '../_base_/schedules/schedule_dino_12e.py',
    '../_base_/default_runtime.py',
]

model = dict(
    bbox_head=dict(
        num_classes=_base_.num_classes, loss_cls=dict(num_classes=_base_.num_classes)))
