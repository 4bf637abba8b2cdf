# DINO with a federated focal loss on LVIS v1, the baseline of RichSem: AP / APr 32.2 / 24.1 in the
# paper (supplement, Table 4; the schedule is not said).
_base_ = [
    '../_base_/models/dino-4scale_r50.py',
    '../_base_/datasets/lvis_v1_dino.py',
    '../_base_/schedules/schedule_dino_12e.py',
    '../_base_/default_runtime.py',
]

model = dict(
    bbox_head=dict(
        num_classes=_base_.num_classes, loss_cls=dict(num_classes=_base_.num_classes)))
