# Stage 2 on Emoji-LT mini: SimCal, whose second head has the loss of stage 1.
_base_ = '../baselines/faster-rcnn_effnet-lite0_emoji-lt-mini_stage2-bce.py'

# The training tool starts from the last checkpoint of this config.
stage1_config = '../baselines/faster-rcnn_effnet-lite0_emoji-lt-mini_stage1.py'

model = dict(
    trainable=('calibration_heads',),
    roi_head=dict(
        type='SimCalRoIHead',
        calibration_loss=dict(type='ObjectnessBCELoss'),
        threshold=40))  # instances; 60 % of the classes, as 100 on LVIS

train_dataloader = dict(
    sampler=dict(
        _delete_=True,
        type='EpisodicSampler',
        num_episodes=94,  # as many images as an epoch has elsewhere
        classes_per_episode=16),
    dataset=dict(
        _delete_=True, type='ClassImagePairs', dataset=_base_.train_dataloader.dataset))
