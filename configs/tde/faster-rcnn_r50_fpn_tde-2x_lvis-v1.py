# Table XIII: De-confound-TDE, LVIS v1, 24 epochs. Officially 20, with HTC
# and a score threshold of 1e-5.
_base_ = [
    '../_base_/models/faster-rcnn_r50_fpn_tde.py',
    '../_base_/datasets/lvis_v1.py',
    '../_base_/schedules/schedule_2x.py',
    '../_base_/default_runtime.py',
]

model = dict(roi_head=dict(bbox_head=dict(num_classes=_base_.num_classes)))
