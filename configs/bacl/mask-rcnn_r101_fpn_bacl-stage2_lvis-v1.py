_base_ = './mask-rcnn_r50_fpn_bacl-stage2_lvis-v1.py'

stage1_config = './mask-rcnn_r101_fpn_bacl-stage1_lvis-v1.py'

model = dict(backbone=dict(depth=101))
