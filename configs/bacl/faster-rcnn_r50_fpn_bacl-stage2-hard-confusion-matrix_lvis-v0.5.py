# Table VIII: hard confusion matrix (Eq. 14).
_base_ = './faster-rcnn_r50_fpn_bacl-stage2_lvis-v0.5.py'

model = dict(roi_head=dict(bbox_head=dict(loss_cls=dict(indicator=dict(hard=True)))))
