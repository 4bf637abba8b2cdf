# Instance-aware repeat factor sampling on Emoji-LT mini in one stage, as long as both together.
_base_ = '../baselines/faster-rcnn_effnet-lite0_emoji-lt-mini_sce.py'

train_dataloader = dict(
    sampler=dict(
        _delete_=True, type='RepeatFactorSampler', oversample_thr=0.067, instance_aware=True))
