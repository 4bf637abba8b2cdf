# Table XIII: Seesaw loss, LVIS v1, 24 epochs, 8 GPUs x 2 images. Officially with
# Mask R-CNN, whose mask head is normalised, too.
_base_ = [
    '../_base_/models/faster-rcnn_r50_fpn_seesaw.py',
    '../_base_/datasets/lvis_v1.py',
    '../_base_/schedules/schedule_2x.py',
    '../_base_/default_runtime.py',
]

model = dict(roi_head=dict(bbox_head=dict(num_classes=_base_.num_classes)))
