# Table XIII: LOCE, LVIS v0.5, 12 epochs after 12 of stage 1. Officially 6 after 24, Mask R-CNN.
_base_ = [
    '../_base_/models/faster-rcnn_r50_fpn_loce-stage2.py',
    '../_base_/datasets/lvis_v0.5.py',
    '../_base_/schedules/schedule_1x.py',
    '../_base_/default_runtime.py',
]

# The training tool starts from the last checkpoint of this config.
stage1_config = '../baselines/faster-rcnn_r50_fpn_sce-1x_lvis-v0.5.py'

model = dict(roi_head=dict(bbox_head=dict(num_classes=_base_.num_classes)))

# Five images of each class fill its memory with 16 boxes around each object.
custom_hooks = [dict(type='MemoryFillHook', num_images=5)]
