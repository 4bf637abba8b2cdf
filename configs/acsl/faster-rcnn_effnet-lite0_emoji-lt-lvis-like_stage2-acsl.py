# Stage 2 on Emoji-LT lvis-like: ACSL, the classifier of stage 1 goes on on the frozen detector.
_base_ = '../baselines/faster-rcnn_effnet-lite0_emoji-lt-lvis-like_stage2-bce.py'

# The training tool starts from the last checkpoint of this config.
stage1_config = '../baselines/faster-rcnn_effnet-lite0_emoji-lt-lvis-like_stage1.py'

model = dict(
    trainable=('fc_cls',),
    roi_head=dict(
        bbox_head=dict(
            loss_cls=dict(type='AdaptiveClassSuppressionLoss', score_thr=0.7))))  # xi
