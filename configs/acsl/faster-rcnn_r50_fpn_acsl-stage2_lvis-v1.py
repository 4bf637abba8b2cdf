# Table XIII: stage 2 of ACSL, LVIS v1, 12 epochs, 8 GPUs x 2 images.
_base_ = [
    '../_base_/models/faster-rcnn_r50_fpn_acsl-stage2.py',
    '../_base_/datasets/lvis_v1.py',
    '../_base_/schedules/schedule_1x.py',
    '../_base_/default_runtime.py',
]

# The training tool starts from the last checkpoint of this config.
stage1_config = '../baselines/faster-rcnn_r50_fpn_sce-1x_lvis-v1.py'

model = dict(roi_head=dict(bbox_head=dict(num_classes=_base_.num_classes)))
