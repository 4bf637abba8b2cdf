_base_ = './faster-rcnn_r50_fpn_bacl-classifier_lvis-v0.5.py'

stage1_config = 'faster-rcnn_r101_fpn_bacl-representation_lvis-v0.5'

model = dict(backbone=dict(depth=101))
