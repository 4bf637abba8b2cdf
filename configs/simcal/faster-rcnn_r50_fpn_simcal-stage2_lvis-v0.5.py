# Table XIII: SimCal, LVIS v0.5, 12 epochs of 1,000 episodes after 12 epochs of stage 1: the
# official recipe, there with Mask R-CNN.
_base_ = [
    '../_base_/models/faster-rcnn_r50_fpn_simcal-stage2.py',
    '../_base_/datasets/lvis_v0.5.py',
    '../_base_/schedules/schedule_1x.py',
    '../_base_/default_runtime.py',
]

# The training tool starts from the last checkpoint of this config.
stage1_config = '../baselines/faster-rcnn_r50_fpn_sce-1x_lvis-v0.5.py'

model = dict(roi_head=dict(bbox_head=dict(num_classes=_base_.num_classes)))

train_dataloader = dict(
    sampler=dict(
        _delete_=True,
        type='EpisodicSampler',
        num_episodes=1000,  # an epoch
        classes_per_episode=16),  # = images, of all GPUs
    batch_sampler=None,
    dataset=dict(_delete_=True, type='ClassImagePairs', dataset=dict(
        _base_.train_dataloader.dataset,
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadAnnotations', with_bbox=True),
            dict(type='Resize', scale=(1333, 800), keep_ratio=True),
            dict(type='RandomFlip', prob=0.5),
            dict(type='DropEmptyGT'),
            dict(type='PackDetInputs'),
        ])))

optim_wrapper = dict(optimizer=dict(lr=0.01, momentum=0.0, weight_decay=0.0))
