_base_ = './faster-rcnn_r50_fpn_bags-stage2_lvis-v1.py'

# The training tool starts from the last checkpoint of this config.
stage1_config = '../baselines/faster-rcnn_r101_fpn_sce-1x_lvis-v1.py'

model = dict(backbone=dict(depth=101))
