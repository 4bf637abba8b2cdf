_base_ = './mask-rcnn_r50_fpn_bacl-classifier_lvis-v1.py'

stage1_config = 'mask-rcnn_r101_fpn_bacl-representation_lvis-v1'

model = dict(backbone=dict(depth=101))
