# C2AM, LVIS v1, 24 epochs.
_base_ = [
    '../_base_/models/faster-rcnn_r50_fpn.py',
    '../_base_/datasets/lvis_v1.py',
    '../_base_/schedules/schedule_2x.py',
    '../_base_/default_runtime.py',
]

model = dict(
    roi_head=dict(
        bbox_head=dict(
            num_classes=_base_.num_classes,
            cls_predictor_cfg=dict(type='CosineLinear', scale=30.0, learns_scale=False),
            loss_cls=dict(_delete_=True, type='C2AMLoss', alpha=0.5))))
