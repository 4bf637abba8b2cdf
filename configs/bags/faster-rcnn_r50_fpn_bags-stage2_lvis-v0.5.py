# Table XIII: stage 2 of BAGS, LVIS v0.5, 12 epochs, 8 GPUs x 2 images. Officially with the learning
# rate 0.01, gradients clipped to 35, and a stage 1 that starts from COCO.
_base_ = [
    '../_base_/models/faster-rcnn_r50_fpn_bags-stage2.py',
    '../_base_/datasets/lvis_v0.5.py',
    '../_base_/schedules/schedule_1x.py',
    '../_base_/default_runtime.py',
]

# The training tool starts from the last checkpoint of this config.
stage1_config = '../baselines/faster-rcnn_r50_fpn_sce-1x_lvis-v0.5.py'

model = dict(roi_head=dict(bbox_head=dict(num_classes=_base_.num_classes)))
