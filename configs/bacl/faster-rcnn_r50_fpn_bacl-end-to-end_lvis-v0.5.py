# Table X: BACL in one stage, nothing frozen. The paper states neither its schedule nor its
# augmentation: here the data of stage 1, and 24 epochs, as many as in both stages together.
_base_ = [
    '../_base_/models/faster-rcnn_r50_fpn_bacl-stage2.py',
    '../_base_/datasets/lvis_v0.5_copy-paste.py',
    '../_base_/schedules/schedule_2x.py',
    '../_base_/default_runtime.py',
]

model = dict(
    type='FasterRCNN',
    backbone=dict(
        init_cfg=dict(
            _delete_=True, type='Pretrained', checkpoint='torchvision://resnet50')),
    roi_head=dict(bbox_head=dict(num_classes=_base_.num_classes)))

custom_hooks = [
    dict(type='LongTermIndicatorHook'),
    # Epochs before re-weighting and hallucination start.
    dict(type='ShortTermIndicatorHook', reweight_start=0, hallucination_start=0),
]

optim_wrapper = dict(optimizer=dict(weight_decay=5e-5))
