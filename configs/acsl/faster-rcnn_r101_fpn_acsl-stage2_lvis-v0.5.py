_base_ = './faster-rcnn_r50_fpn_acsl-stage2_lvis-v0.5.py'

# The training tool starts from the last checkpoint of this config.
stage1_config = '../baselines/faster-rcnn_r101_fpn_sce-1x_lvis-v0.5.py'

model = dict(backbone=dict(depth=101))
