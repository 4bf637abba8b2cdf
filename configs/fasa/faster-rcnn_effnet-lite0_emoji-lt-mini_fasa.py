# FASA on Emoji-LT mini in one stage, as long as both stages together.
_base_ = '../baselines/faster-rcnn_effnet-lite0_emoji-lt-mini_sce.py'

model = dict(
    roi_head=dict(
        type='LongTailRoIHead',
        # 1 virtual feature per 2 images on average in the paper, here per batch of 16.
        augmenter=dict(type='FASA', scale=8.0)))
