# ROG with BCE* on Emoji-LT mini in one stage, as long as both stages together.
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
            loss_cls=dict(
                type='ROGLoss', loss=dict(type='ObjectnessBCELoss'), ranking_weight=0.1,
                gamma=1.0))))
