# Table VI: beta = 0.95.
_base_ = './faster-rcnn_r50_fpn_bacl-stage2_lvis-v0.5.py'

model = dict(roi_head=dict(hallucinator=dict(momentum=0.05)))
