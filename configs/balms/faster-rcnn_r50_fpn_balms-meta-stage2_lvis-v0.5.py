# BALMS with the meta part, LVIS v0.5. Officially repeat factor sampling in both stages, and 22,000
# iterations in this one.
_base_ = './faster-rcnn_r50_fpn_balms-sigmoid-stage2_lvis-v0.5.py'

model = dict(
    roi_head=dict(bbox_head=dict(loss_cls=dict(type='MetaBalancedSigmoidLoss', meta_lr=0.01))))

custom_hooks = [dict(type='MetaReweightHook')]
