# Stage 2 on Emoji-LT smoke, BACL: as the baseline, with FCBL and feature hallucination.
_base_ = './faster-rcnn_effnet-lite0_emoji-lt-smoke_stage2-bce.py'

model = dict(
    roi_head=dict(
        type='FHMRoIHead',
        hallucinator=dict(
            type='FeatureHallucinator',
            num_sampled_classes=8,  # c
            num_features_per_class=12,  # m
            momentum=0.1),  # weight of the new statistics, 1 - beta
        bbox_head=dict(loss_cls=dict(type='FCBL', alpha=0.85, prob_thr=0.7))))

custom_hooks = [
    dict(type='LongTermIndicatorHook'),
    dict(type='ShortTermIndicatorHook'),
]
