# EFL on Emoji-LT mini in one stage, as long as both stages together.
_base_ = [
    '../_base_/models/atss_effnet-lite0_fpn.py',
    '../_base_/datasets/emoji-lt.py',
    '../_base_/schedules/schedule_emoji-lt_joint.py',
    '../_base_/default_runtime.py',
]

model = dict(
    bbox_head=dict(
        num_classes=_base_.num_classes,
        loss_cls=dict(
            type='EqualizedFocalLoss', num_classes=_base_.num_classes, scale_factor=8.0)))
