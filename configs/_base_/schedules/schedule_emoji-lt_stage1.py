# Six epochs of AdamW with a cosine. tools/test.py evaluates once, after training; val_begin keeps
# the loop, which validates after its last epoch in any case, from doing it as well.
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=6, val_begin=1000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=6e-4, weight_decay=0.05),
    clip_grad=dict(max_norm=35, norm_type=2))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=50),  # iterations
    dict(
        type='CosineAnnealingLR', T_max=6, eta_min=6e-6, by_epoch=True, begin=0, end=6,
        convert_to_iter_based=True),  # epochs
]
auto_scale_lr = dict(enable=False, base_batch_size=16)
