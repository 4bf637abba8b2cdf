# De-confound-TDE on Emoji-LT mini in one stage, as long as both stages together.
_base_ = '../baselines/faster-rcnn_effnet-lite0_emoji-lt-mini_sce.py'

model = dict(
    roi_head=dict(
        type='LongTailRoIHead', bbox_head=dict(cls_predictor_cfg=dict(type='TDELinear'))))
