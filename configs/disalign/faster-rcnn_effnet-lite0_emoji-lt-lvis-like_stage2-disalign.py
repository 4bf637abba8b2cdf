# Stage 2 on Emoji-LT lvis-like: DisAlign on the frozen classifier of stage 1. That one is a sigmoid
# with objectness; here its logits are aligned under a softmax.
_base_ = '../baselines/faster-rcnn_effnet-lite0_emoji-lt-lvis-like_stage2-bce.py'

# The training tool starts from the last checkpoint of this config.
stage1_config = '../baselines/faster-rcnn_effnet-lite0_emoji-lt-lvis-like_stage1.py'

model = dict(
    trainable=('logit_scale', 'logit_bias', 'confidence'),
    roi_head=dict(
        bbox_head=dict(
            cls_predictor_cfg=dict(type='DisAlignLinear'),
            loss_cls=dict(_delete_=True, type='GRWCrossEntropyLoss', rho=0.8))))
