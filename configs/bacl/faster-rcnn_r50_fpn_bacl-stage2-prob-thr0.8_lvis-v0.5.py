# Table V: threshold 0.8.
_base_ = './faster-rcnn_r50_fpn_bacl-stage2_lvis-v0.5.py'

model = dict(roi_head=dict(bbox_head=dict(loss_cls=dict(prob_thr=0.8))))
