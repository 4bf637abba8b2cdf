# Instance-aware repeat factor sampling with stochastic rounding, LVIS v1, 24 epochs.
_base_ = '../baselines/faster-rcnn_r50_fpn_sce-2x_lvis-v1.py'

train_dataloader = dict(
    sampler=dict(
        _delete_=True, type='RepeatFactorSampler', oversample_thr=1e-3, instance_aware=True))
