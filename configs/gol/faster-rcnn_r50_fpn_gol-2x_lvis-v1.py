# GOL, LVIS v1, 24 epochs, repeat factor sampling. Officially with masks of a cosine predictor.
_base_ = [
    '../_base_/models/faster-rcnn_r50_fpn_bce.py',
    '../_base_/datasets/lvis_v1_rfs.py',
    '../_base_/schedules/schedule_2x.py',
    '../_base_/default_runtime.py',
]

model = dict(
    roi_head=dict(
        bbox_head=dict(
            num_classes=_base_.num_classes,
            loss_cls=dict(type='GumbelDropLoss', frequency_thr=0.0011),
            # A Gumbel score is 0.0006 at -2.
            init_cfg=[
                dict(type='Normal', std=0.01, bias=-2.0, override=dict(name='fc_cls')),
                dict(type='Normal', std=0.001, override=dict(name='fc_reg')),
                dict(type='Xavier', distribution='uniform', override=dict(name='shared_fcs')),
            ])))
