# SGD as the paper, two epochs with a cosine; made for a feature bank. tools/test.py evaluates once,
# after training; val_begin keeps the loop from doing it as well.
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=2, val_begin=1000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.02, momentum=0.9, weight_decay=1e-4),
    clip_grad=dict(max_norm=35, norm_type=2))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=100),  # iterations
    dict(
        type='CosineAnnealingLR', T_max=2, eta_min=2e-4, by_epoch=True, begin=0, end=2,
        convert_to_iter_based=True),  # epochs
]
auto_scale_lr = dict(enable=False, base_batch_size=16)  # images
