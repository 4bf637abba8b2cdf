# Stage 2 with a softmax classifier, all but the classifier frozen. A config on top sets
# bbox_head.num_classes.
_base_ = './faster-rcnn_r50_fpn.py'

model = dict(
    type='DecoupledTwoStageDetector',
    backbone=dict(init_cfg=None),  # all weights come from stage 1
    trainable=('fc_cls',))
