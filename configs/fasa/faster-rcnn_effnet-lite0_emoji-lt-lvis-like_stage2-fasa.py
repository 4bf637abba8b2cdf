# Stage 2 on Emoji-LT lvis-like: FASA on the frozen extractor, from its first epoch on.
_base_ = '../baselines/faster-rcnn_effnet-lite0_emoji-lt-lvis-like_stage2-sce.py'

# The training tool starts from the last checkpoint of this config.
stage1_config = '../baselines/faster-rcnn_effnet-lite0_emoji-lt-lvis-like_stage1.py'

model = dict(
    roi_head=dict(
        type='LongTailRoIHead',
        # 1 virtual feature per 2 images on average in the paper, here per batch of 16.
        augmenter=dict(type='FASA', scale=8.0, start=0)))
