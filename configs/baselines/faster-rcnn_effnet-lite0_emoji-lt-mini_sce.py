# Baseline on Emoji-LT mini: softmax cross entropy (SCE) in one stage, as long as both together.
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
            loss_cls=dict(_delete_=True, type='CrossEntropyLoss', use_sigmoid=False),
            # A softmax needs no prior probability: mmdet's own initialisation.
            init_cfg=[
                dict(type='Normal', std=0.01, override=dict(name='fc_cls')),
                dict(type='Normal', std=0.001, override=dict(name='fc_reg')),
                dict(type='Xavier', distribution='uniform', override=dict(name='shared_fcs')),
            ])))
