# De-confound-TDE, COCO-LT, 24 epochs.
_base_ = [
    '../_base_/models/faster-rcnn_r50_fpn_tde.py',
    '../_base_/datasets/coco-lt.py',
    '../_base_/schedules/schedule_2x.py',
    '../_base_/default_runtime.py',
]

model = dict(roi_head=dict(bbox_head=dict(num_classes=_base_.num_classes)))
