# Two epochs from the weights of stage 1 in which all layers learn, at a sixth of its rate.
_base_ = './schedule_emoji-lt_stage1.py'

train_cfg = dict(max_epochs=2)
optim_wrapper = dict(optimizer=dict(lr=1e-4))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=20),  # iterations
    dict(
        type='CosineAnnealingLR', T_max=2, eta_min=1e-6, by_epoch=True, begin=0, end=2,
        convert_to_iter_based=True),  # epochs
]
