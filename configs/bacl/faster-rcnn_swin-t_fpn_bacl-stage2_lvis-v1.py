# Stage 2 of BACL with Swin-T, LVIS v1, 12 epochs.
_base_ = [
    '../_base_/models/faster-rcnn_swin-t_fpn_bacl-stage2.py',
    '../_base_/datasets/lvis_v1.py',
    '../_base_/schedules/schedule_1x_adamw.py',
    '../_base_/default_runtime.py',
]

# The training tool starts from the last checkpoint of this config.
stage1_config = './faster-rcnn_swin-t_fpn_bacl-stage1_lvis-v1.py'

model = dict(roi_head=dict(bbox_head=dict(num_classes=_base_.num_classes)))

custom_hooks = [
    dict(type='LongTermIndicatorHook'),
    # Epochs before re-weighting and hallucination start.
    dict(type='ShortTermIndicatorHook', reweight_start=0, hallucination_start=0),
]
