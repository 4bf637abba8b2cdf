# Fig. 4: image frequency as long-term indicator.
_base_ = './faster-rcnn_r50_fpn_bacl-stage2_lvis-v0.5.py'

model = dict(roi_head=dict(bbox_head=dict(loss_cls=dict(indicator=dict(type='ImageFrequency')))))
