# Table VII: c = 8 classes of m = 16 features.
_base_ = './faster-rcnn_r50_fpn_bacl-stage2_lvis-v0.5.py'

model = dict(roi_head=dict(hallucinator=dict(num_features_per_class=16)))
