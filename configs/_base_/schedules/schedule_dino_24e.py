# 24 epochs, learning rate divided by 10 after epoch 20.
_base_ = './schedule_dino_12e.py'

train_cfg = dict(max_epochs=24, val_interval=24)

param_scheduler = [
    dict(type='MultiStepLR', by_epoch=True, begin=0, end=24, milestones=[20], gamma=0.1),
]
