# Feature hallucination with EQL v2, drawn by image frequency, LVIS v0.5, 12 epochs after 12.
_base_ = [
    '../_base_/models/faster-rcnn_r50_fpn_bce-obj.py',
    '../_base_/datasets/lvis_v0.5.py',
    '../_base_/schedules/schedule_1x.py',
    '../_base_/default_runtime.py',
]

# The training tool starts from the last checkpoint of this config.
stage1_config = '../baselines/faster-rcnn_r50_fpn_bce-obj-1x_lvis-v0.5.py'

model = dict(
    type='DecoupledTwoStageDetector',
    backbone=dict(init_cfg=None),  # all weights come from stage 1
    roi_head=dict(
        type='LongTailRoIHead',
        augmenter=dict(
            type='FeatureHallucinator',
            num_sampled_classes=8,  # c
            num_features_per_class=12,  # m
            momentum=0.1,  # weight of the new statistics, 1 - beta
            indicator=dict(type='ImageFrequency')),
        bbox_head=dict(
            num_classes=_base_.num_classes,
            loss_cls=dict(type='EqualizationLossV2', gamma=12.0, mu=0.8, alpha=4.0))))
