# Table VII: c = 4 classes of m = 12 features.
_base_ = './faster-rcnn_r50_fpn_bacl-stage2_lvis-v0.5.py'

model = dict(roi_head=dict(hallucinator=dict(num_sampled_classes=4)))
