# Instance-aware repeat factor sampling on Emoji-LT lvis-like, stage 2 of a softmax.
_base_ = '../baselines/faster-rcnn_effnet-lite0_emoji-lt-lvis-like_stage2-sce.py'

# The training tool starts from the last checkpoint of this config.
stage1_config = '../baselines/faster-rcnn_effnet-lite0_emoji-lt-lvis-like_stage1.py'

train_dataloader = dict(
    sampler=dict(
        _delete_=True, type='RepeatFactorSampler', oversample_thr=0.0045, instance_aware=True))
