# Stage 2 on Emoji-LT mini: cRT, a new softmax classifier on classes sampled alike.
_base_ = '../baselines/faster-rcnn_effnet-lite0_emoji-lt-mini_stage2-bce.py'

# The training tool starts from the last checkpoint of this config.
stage1_config = '../baselines/faster-rcnn_effnet-lite0_emoji-lt-mini_stage1.py'

# A class is drawn, then an image that shows it.
train_dataloader = dict(sampler=dict(_delete_=True, type='ClassAwareSampler'))

model = dict(
    trainable=('fc_cls',),
    fresh=('fc_cls',),
    roi_head=dict(
        bbox_head=dict(
            loss_cls=dict(_delete_=True, type='CrossEntropyLoss', use_sigmoid=False),
            # A softmax needs no prior probability: mmdet's own initialisation.
            init_cfg=[
                dict(type='Normal', std=0.01, override=dict(name='fc_cls')),
                dict(type='Normal', std=0.001, override=dict(name='fc_reg')),
                dict(type='Xavier', distribution='uniform', override=dict(name='shared_fcs')),
            ])))
