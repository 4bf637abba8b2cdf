# Table XIII: Seesaw loss, LVIS v0.5, 24 epochs, 8 GPUs x 2 images. There is no
# official config for v0.5.
_base_ = [
    '../_base_/models/faster-rcnn_r50_fpn_seesaw.py',
    '../_base_/datasets/lvis_v0.5.py',
    '../_base_/schedules/schedule_2x.py',
    '../_base_/default_runtime.py',
]

model = dict(roi_head=dict(bbox_head=dict(num_classes=_base_.num_classes)))
