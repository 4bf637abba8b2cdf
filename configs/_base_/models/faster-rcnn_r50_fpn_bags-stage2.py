# Stage 2 of BAGS: a new classifier with group softmax, everything else frozen. A config on top sets
# bbox_head.num_classes.
_base_ = './faster-rcnn_r50_fpn.py'

model = dict(
    type='DecoupledTwoStageDetector',
    trainable=('fc_cls',),
    fresh=('fc_cls',),
    backbone=dict(init_cfg=None),  # all weights come from stage 1
    roi_head=dict(
        bbox_head=dict(
            loss_cls=dict(
                _delete_=True,
                type='GroupSoftmaxLoss',
                thresholds=(10, 100, 1000),  # instances
                others_ratio=8.0))))  # beta
