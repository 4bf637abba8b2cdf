# ROG with the seesaw loss, LVIS v1, 24 epochs, repeat factor sampling. Officially with masks of a
# cosine predictor, and gradients clipped at the norm 5.
_base_ = [
    '../_base_/models/faster-rcnn_r50_fpn_seesaw.py',
    '../_base_/datasets/lvis_v1_rfs.py',
    '../_base_/schedules/schedule_2x.py',
    '../_base_/default_runtime.py',
]

model = dict(
    roi_head=dict(
        bbox_head=dict(
            num_classes=_base_.num_classes,
            loss_cls=dict(
                _delete_=True, type='ROGLoss',
                loss=dict(type='SynchronizedSeesawLoss', p=0.8, q=2.0), ranking_weight=0.1,
                gamma=1.0))))
