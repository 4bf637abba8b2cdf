# Stage 2 on Emoji-LT mini: LOCE on the frozen extractor, with a new classifier.
_base_ = '../baselines/faster-rcnn_effnet-lite0_emoji-lt-mini_stage2-sce.py'

# The training tool starts from the last checkpoint of this config.
stage1_config = '../baselines/faster-rcnn_effnet-lite0_emoji-lt-mini_stage1.py'

model = dict(
    roi_head=dict(
        type='LongTailRoIHead',
        augmenter=dict(
            type='MemorySampler',
            num_sampled_classes=16,  # 8 per 2 images in the paper, here per batch of 16
            num_features_per_class=4,
            capacity=80),
        bbox_head=dict(loss_cls=dict(_delete_=True, type='EquilibriumLoss'))))

custom_hooks = [dict(type='MemoryFillHook', num_images=5)]
