_base_ = './faster-rcnn_r50_fpn_bacl-classifier_coco-lt.py'

stage1_config = 'faster-rcnn_r101_fpn_bacl-representation_coco-lt'

model = dict(backbone=dict(depth=101))
