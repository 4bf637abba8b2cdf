# RichSem with soft and image labels, LVIS v1 and ImageNet-LVIS, 24 epochs of LVIS. The paper has no
# Faster R-CNN; AP / APr of its others: with DINO 32.2 / 24.1 without, 35.0 / 30.4 with RichSem
# (supplement, Table 4), 37.3 / 30.7 in 24 epochs (official code).
_base_ = [
    '../_base_/models/faster-rcnn_r50_fpn_richsem.py',
    '../_base_/datasets/lvis_v1_image-level.py',
    '../_base_/schedules/schedule_2x.py',
    '../_base_/default_runtime.py',
]

model = dict(roi_head=dict(bbox_head=dict(num_classes=_base_.num_classes)))
