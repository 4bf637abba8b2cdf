# Stage 2 of SimCal: a second classification head learns on a frozen detector. A config on top sets
# bbox_head.num_classes.
_base_ = './faster-rcnn_r50_fpn.py'

model = dict(
    type='DecoupledTwoStageDetector',
    backbone=dict(init_cfg=None),  # all weights come from stage 1
    trainable=('calibration_heads',),
    roi_head=dict(
        type='SimCalRoIHead',
        calibration_loss=dict(type='SoftmaxCELoss'),
        threshold=100),  # instances: classes with fewer are scored by the second head
    train_cfg=dict(rpn_proposal=dict(max_per_img=2000)))
