# Stage 2 on Emoji-LT lvis-like: GOL on the frozen extractor.
_base_ = [
    '../_base_/models/faster-rcnn_effnet-lite0_fpn_stage2.py',
    '../_base_/datasets/emoji-lt-lvis-like.py',
    '../_base_/schedules/schedule_emoji-lt_lvis-like_stage2.py',
    '../_base_/default_runtime.py',
]

# The training tool starts from the last checkpoint of this config.
stage1_config = '../baselines/faster-rcnn_effnet-lite0_emoji-lt-lvis-like_stage1.py'

model = dict(
    fresh=('fc_cls',),  # stage 1 has a channel for the background, too, and other scores
    roi_head=dict(
        bbox_head=dict(
            num_classes=_base_.num_classes,
            loss_cls=dict(type='GumbelDropLoss', frequency_thr=0.00457),
            # A Gumbel score is 0.0006 at -2.
            init_cfg=[
                dict(type='Normal', std=0.01, bias=-2.0, override=dict(name='fc_cls')),
                dict(type='Normal', std=0.001, override=dict(name='fc_reg')),
                dict(type='Xavier', distribution='uniform', override=dict(name='shared_fcs')),
            ])))
