# Stage 2 of ACSL: the classifier goes on as sigmoids, everything else is frozen. A config on top
# sets bbox_head.num_classes. fresh=('fc_cls',) and an init_cfg with bias_prob=0.01 start it anew.
_base_ = './faster-rcnn_r50_fpn.py'

model = dict(
    type='DecoupledTwoStageDetector',
    trainable=('fc_cls',),
    backbone=dict(init_cfg=None),  # all weights come from stage 1
    roi_head=dict(
        bbox_head=dict(
            loss_cls=dict(
                _delete_=True, type='AdaptiveClassSuppressionLoss', score_thr=0.7))))  # xi
