# BALMS as its code for LVIS, without the meta part: balanced sigmoids, only the classifier learns,
# LVIS v0.5. Officially repeat factor sampling in both stages, and 22,000 iterations in this one.
_base_ = [
    '../_base_/models/faster-rcnn_r50_fpn_bce.py',
    '../_base_/datasets/lvis_v0.5.py',
    '../_base_/schedules/schedule_1x.py',
    '../_base_/default_runtime.py',
]

# The training tool starts from the last checkpoint of this config.
stage1_config = '../baselines/faster-rcnn_r50_fpn_bce-1x_lvis-v0.5.py'

model = dict(
    type='DecoupledTwoStageDetector',
    trainable=('fc_cls',),
    backbone=dict(init_cfg=None),  # all weights come from stage 1
    roi_head=dict(
        bbox_head=dict(
            num_classes=_base_.num_classes, loss_cls=dict(type='BalancedSigmoidLoss'))))
