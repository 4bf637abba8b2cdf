# Table XIII: stage 2 of ACSL, LVIS v0.5, 12 epochs, 8 GPUs x 2 images. Officially with images of
# one scale, gradients clipped to 35, a score_thr of 0, and a stage 1 that starts from COCO.
_base_ = [
    '../_base_/models/faster-rcnn_r50_fpn_acsl-stage2.py',
    '../_base_/datasets/lvis_v0.5.py',
    '../_base_/schedules/schedule_1x.py',
    '../_base_/default_runtime.py',
]

# The training tool starts from the last checkpoint of this config.
stage1_config = '../baselines/faster-rcnn_r50_fpn_sce-1x_lvis-v0.5.py'

model = dict(roi_head=dict(bbox_head=dict(num_classes=_base_.num_classes)))
