# Stage 2 of BACL with Swin-T. A config on top sets bbox_head.num_classes.
_base_ = ['./faster-rcnn_r50_fpn_bacl-stage2.py', './swin-t.py']

model = dict(
    backbone=dict(_base_.swin_t, _delete_=True, init_cfg=None),  # all weights come from stage 1
    neck=dict(in_channels=_base_.swin_t_channels))
