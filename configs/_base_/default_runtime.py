custom_imports = dict(imports=['bacl'], allow_failed_imports=False)
default_scope = 'mmdet'

default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50),  # iterations
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(type='AtomicCheckpointHook', interval=1),  # epochs
    seed=dict(type='SeedHook'),
    finite_loss=dict(type='FiniteLossHook', max_skipped=0),  # batches
    sampler_seed=dict(type='DistSamplerSeedHook'),
    visualization=dict(type='DetVisualizationHook'),
    method=dict(type='MethodHook', interval=50),  # iterations
    class_figures=dict(type='ClassFigureHook', interval=1),  # epochs
    class_check=dict(type='ClassCheckHook'),
    load_report=dict(type='LoadReportHook'),
    plain_checkpoint=dict(type='PlainCheckpointHook'))

env_cfg = dict(
    cudnn_benchmark=False,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0))

# For Weights & Biases add dict(type='WandbVisBackend').
vis_backends = [dict(type='LocalVisBackend'), dict(type='TensorboardVisBackend')]
visualizer = dict(type='DetLocalVisualizer', vis_backends=vis_backends, name='visualizer')
log_processor = dict(type='LogProcessor', window_size=50, by_epoch=True)

# Every rank hallucinates features of its own. mmengine would seed all ranks alike.
randomness = dict(seed=None, diff_rank_seed=True)

log_level = 'INFO'
load_from = None
resume = False
