# Table XV: Seesaw loss (mmdet's), COCO-LT, 24 epochs.
_base_ = [
    '../_base_/models/faster-rcnn_r50_fpn.py',
    '../_base_/datasets/coco-lt.py',
    '../_base_/schedules/schedule_2x.py',
    '../_base_/default_runtime.py',
]

model = dict(
    roi_head=dict(
        bbox_head=dict(
            num_classes=_base_.num_classes,
            # Cosine of feature and class times 20, the default. Not written out: mmdet 3.3 spells
            # the argument 'tempearture', its successor 'temperature'.
            cls_predictor_cfg=dict(type='NormedLinear'),
            loss_cls=dict(
                _delete_=True, type='SeesawLoss', p=0.8, q=2.0, num_classes=_base_.num_classes))))
