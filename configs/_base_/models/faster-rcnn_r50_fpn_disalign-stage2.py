# Stage 2 of DisAlign: the logits of a frozen softmax classifier are aligned, nothing else learns. A
# config on top sets bbox_head.num_classes.
_base_ = './faster-rcnn_r50_fpn.py'

model = dict(
    type='DecoupledTwoStageDetector',
    backbone=dict(init_cfg=None),  # all weights come from stage 1
    trainable=('logit_scale', 'logit_bias', 'confidence'),
    roi_head=dict(
        bbox_head=dict(
            cls_predictor_cfg=dict(type='DisAlignLinear'),
            loss_cls=dict(_delete_=True, type='GRWCrossEntropyLoss', rho=0.8))))
