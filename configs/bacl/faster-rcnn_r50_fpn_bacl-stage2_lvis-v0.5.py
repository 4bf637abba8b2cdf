# Stage 2 of BACL, LVIS v0.5, 12 epochs, 8 GPUs x 2 images.
_base_ = [
    '../_base_/models/faster-rcnn_r50_fpn_bacl-stage2.py',
    '../_base_/datasets/lvis_v0.5.py',
    '../_base_/schedules/schedule_1x.py',
    '../_base_/default_runtime.py',
]

# The training tool starts from the last checkpoint of this config.
stage1_config = './faster-rcnn_r50_fpn_bacl-stage1_lvis-v0.5.py'

model = dict(roi_head=dict(bbox_head=dict(num_classes=_base_.num_classes)))

custom_hooks = [
    dict(type='LongTermIndicatorHook'),
    # Epochs before re-weighting and hallucination start.
    dict(type='ShortTermIndicatorHook', reweight_start=0, hallucination_start=0),
]
