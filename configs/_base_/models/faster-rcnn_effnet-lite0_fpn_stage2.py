# Stage 2 on the small Faster R-CNN with the loss of stage 1: the baseline of stages 2.
# A config on top sets bbox_head.num_classes.
_base_ = './faster-rcnn_effnet-lite0_fpn.py'

model = dict(
    type='DecoupledTwoStageDetector',
    backbone=dict(init_cfg=None),  # all weights come from stage 1
    rpn_head=dict(type='EarlyStopRPNHead'),
    roi_head=dict(bbox_roi_extractor=dict(type='FrozenRoIExtractor')))
