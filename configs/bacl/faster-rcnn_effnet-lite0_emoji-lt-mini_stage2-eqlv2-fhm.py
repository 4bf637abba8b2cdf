# Stage 2 on Emoji-LT mini: feature hallucination with EQL v2, drawn by image frequency.
_base_ = '../baselines/faster-rcnn_effnet-lite0_emoji-lt-mini_stage2-bce.py'

# The training tool starts from the last checkpoint of this config.
stage1_config = '../baselines/faster-rcnn_effnet-lite0_emoji-lt-mini_stage1.py'

model = dict(
    roi_head=dict(
        type='LongTailRoIHead',
        augmenter=dict(
            type='FeatureHallucinator',
            num_sampled_classes=16,  # c; 8 per 2 images in the paper, here per batch of 16
            num_features_per_class=12,  # m
            momentum=0.1,  # weight of the new statistics, 1 - beta
            indicator=dict(type='ImageFrequency')),
        bbox_head=dict(loss_cls=dict(type='EqualizationLossV2', gamma=12.0, mu=0.8, alpha=4.0))))
