# One epoch from the weights of stage 1 in which all layers learn. lvis-like has fifteen times the
# images of mini, so this is seven times the steps of mini's two epochs.
_base_ = './schedule_emoji-lt_finetune.py'

train_cfg = dict(max_epochs=1)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=20),  # iterations
    dict(
        type='CosineAnnealingLR', T_max=1, eta_min=1e-6, by_epoch=True, begin=0, end=1,
        convert_to_iter_based=True),  # epochs
]
