# C2AM on Emoji-LT mini in one stage, as long as both stages together.
_base_ = '../baselines/faster-rcnn_effnet-lite0_emoji-lt-mini_sce.py'

model = dict(
    roi_head=dict(
        bbox_head=dict(
            cls_predictor_cfg=dict(type='CosineLinear', scale=30.0, learns_scale=False),
            loss_cls=dict(_delete_=True, type='C2AMLoss', alpha=0.5))))
