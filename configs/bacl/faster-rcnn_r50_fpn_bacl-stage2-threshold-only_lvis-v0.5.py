# Table IX: only classes that score at least the threshold count.
_base_ = './faster-rcnn_r50_fpn_bacl-stage2_lvis-v0.5.py'

model = dict(roi_head=dict(bbox_head=dict(loss_cls=dict(above_true=False))))
