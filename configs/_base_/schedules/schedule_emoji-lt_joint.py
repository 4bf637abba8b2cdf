# Eight epochs, as long as both stages together; everything else as in stage 1.
_base_ = './schedule_emoji-lt_stage1.py'

train_cfg = dict(max_epochs=8)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=50),  # iterations
    dict(
        type='CosineAnnealingLR', T_max=8, eta_min=6e-6, by_epoch=True, begin=0, end=8,
        convert_to_iter_based=True),  # epochs
]
