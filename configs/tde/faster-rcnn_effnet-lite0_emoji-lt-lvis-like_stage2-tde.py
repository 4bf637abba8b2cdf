# Stage 2 on Emoji-LT lvis-like: the classifier of De-confound-TDE on the frozen extractor.
_base_ = '../baselines/faster-rcnn_effnet-lite0_emoji-lt-lvis-like_stage2-sce.py'

# The training tool starts from the last checkpoint of this config.
stage1_config = '../baselines/faster-rcnn_effnet-lite0_emoji-lt-lvis-like_stage1.py'

model = dict(
    roi_head=dict(
        type='LongTailRoIHead',
        bbox_head=dict(cls_predictor_cfg=dict(type='TDELinear', alpha=1.5))))
