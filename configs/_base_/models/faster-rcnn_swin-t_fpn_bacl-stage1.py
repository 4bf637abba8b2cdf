# Stage 1 of BACL with Swin-T. A config on top sets bbox_head.num_classes.
_base_ = ['./faster-rcnn_r50_fpn_bacl-stage1.py', './swin-t.py']

model = dict(
    backbone=dict(_base_.swin_t, _delete_=True),
    neck=dict(in_channels=_base_.swin_t_channels))
