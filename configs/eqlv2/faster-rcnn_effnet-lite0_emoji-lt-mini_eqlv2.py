# EQL v2 on Emoji-LT mini, end to end.
_base_ = [
    '../_base_/models/faster-rcnn_effnet-lite0_fpn.py',
    '../_base_/datasets/emoji-lt.py',
    '../_base_/schedules/schedule_emoji-lt_joint.py',
    '../_base_/default_runtime.py',
]

model = dict(
    roi_head=dict(
        bbox_head=dict(
            num_classes=_base_.num_classes,
            loss_cls=dict(type='EqualizationLossV2', gamma=12.0, mu=0.8, alpha=4.0))))
