# Stage 2 on Emoji-LT mini: BAGS, a new classifier on the frozen detector.
_base_ = '../baselines/faster-rcnn_effnet-lite0_emoji-lt-mini_stage2-bce.py'

# The training tool starts from the last checkpoint of this config.
stage1_config = '../baselines/faster-rcnn_effnet-lite0_emoji-lt-mini_stage1.py'

model = dict(
    trainable=('fc_cls',),
    fresh=('fc_cls',),
    roi_head=dict(
        bbox_head=dict(
            loss_cls=dict(
                type='GroupSoftmaxLoss',
                thresholds=(10, 100, 1000),  # instances
                others_ratio=8.0),  # beta
            # A softmax needs no prior probability: mmdet's own initialisation.
            init_cfg=[
                dict(type='Normal', std=0.01, override=dict(name='fc_cls')),
                dict(type='Normal', std=0.001, override=dict(name='fc_reg')),
                dict(type='Xavier', distribution='uniform', override=dict(name='shared_fcs')),
            ])))
