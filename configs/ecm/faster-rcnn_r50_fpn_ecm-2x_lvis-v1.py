# ECM, LVIS v1, 24 epochs. Officially with repeat factor sampling, a cosine classifier (scale 20),
# 10,000 iterations of warm-up and gradients clipped at the norm 5.
_base_ = [
    '../_base_/models/faster-rcnn_r50_fpn_bce-obj.py',
    '../_base_/datasets/lvis_v1.py',
    '../_base_/schedules/schedule_2x.py',
    '../_base_/default_runtime.py',
]

model = dict(
    roi_head=dict(
        bbox_head=dict(
            num_classes=_base_.num_classes,
            loss_cls=dict(type='EffectiveClassMarginLoss', background_ratio=6.3313))))
