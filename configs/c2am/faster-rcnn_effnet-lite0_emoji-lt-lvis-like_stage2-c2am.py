# Stage 2 on Emoji-LT lvis-like: C2AM and its cosine classifier on the frozen extractor.
_base_ = '../baselines/faster-rcnn_effnet-lite0_emoji-lt-lvis-like_stage2-sce.py'

# The training tool starts from the last checkpoint of this config.
stage1_config = '../baselines/faster-rcnn_effnet-lite0_emoji-lt-lvis-like_stage1.py'

model = dict(
    roi_head=dict(
        bbox_head=dict(
            cls_predictor_cfg=dict(type='CosineLinear', scale=30.0, learns_scale=False),
            loss_cls=dict(_delete_=True, type='C2AMLoss', alpha=0.5))))
