# Instance-aware repeat factor sampling with stochastic rounding, COCO-LT, 24 epochs.
_base_ = '../baselines/faster-rcnn_r50_fpn_sce-2x_coco-lt.py'

train_dataloader = dict(
    sampler=dict(
        _delete_=True, type='RepeatFactorSampler', oversample_thr=1e-3, instance_aware=True))
