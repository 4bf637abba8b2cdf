# Stage 2 on Emoji-LT lvis-like, softmax cross entropy (SCE): a new classifier on the
# frozen extractor.
_base_ = [
    '../_base_/models/faster-rcnn_effnet-lite0_fpn_stage2.py',
    '../_base_/datasets/emoji-lt-lvis-like.py',
    '../_base_/schedules/schedule_emoji-lt_lvis-like_stage2.py',
    '../_base_/default_runtime.py',
]

# The training tool starts from the last checkpoint of this config.
stage1_config = './faster-rcnn_effnet-lite0_emoji-lt-lvis-like_stage1.py'

model = dict(
    fresh=('fc_cls',),
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
