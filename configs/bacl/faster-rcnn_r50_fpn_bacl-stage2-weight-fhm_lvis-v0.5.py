# Table III, and Table IV with alpha = 0: weights and feature hallucination.
_base_ = './faster-rcnn_r50_fpn_bacl-stage2_lvis-v0.5.py'

model = dict(roi_head=dict(bbox_head=dict(loss_cls=dict(with_margin=False))))
