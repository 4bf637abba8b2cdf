_base_ = './faster-rcnn_r50_fpn_forest-2x_lvis-v0.5.py'

model = dict(
    backbone=dict(
        depth=101, init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet101')))
