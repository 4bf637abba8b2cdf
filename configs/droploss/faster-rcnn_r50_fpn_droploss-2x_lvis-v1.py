# Table XIII: DropLoss, LVIS v1, 24 epochs. Officially 4 images per batch.
_base_ = [
    '../_base_/models/faster-rcnn_r50_fpn_bce.py',
    '../_base_/datasets/lvis_v1.py',
    '../_base_/schedules/schedule_2x.py',
    '../_base_/default_runtime.py',
]

model = dict(
    roi_head=dict(
        bbox_head=dict(
            num_classes=_base_.num_classes,
            loss_cls=dict(type='DropLoss', frequency_thr=0.00177))))
