_base_ = './faster-rcnn_r50_fpn_bacl-stage2_coco-lt.py'

stage1_config = './faster-rcnn_r101_fpn_bacl-stage1_coco-lt.py'

model = dict(backbone=dict(depth=101))
