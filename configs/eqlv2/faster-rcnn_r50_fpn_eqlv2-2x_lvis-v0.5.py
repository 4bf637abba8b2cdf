# Table XIII: EQL v2, LVIS v0.5, 24 epochs. Officially 12, with Mask R-CNN.
_base_ = [
    '../_base_/models/faster-rcnn_r50_fpn_bce-obj.py',
    '../_base_/datasets/lvis_v0.5.py',
    '../_base_/schedules/schedule_2x.py',
    '../_base_/default_runtime.py',
]

model = dict(
    roi_head=dict(
        bbox_head=dict(
            num_classes=_base_.num_classes,
            loss_cls=dict(type='EqualizationLossV2', gamma=12.0, mu=0.8, alpha=4.0))))
