# FASA, COCO-LT, 24 epochs.
_base_ = [
    '../_base_/models/faster-rcnn_r50_fpn.py',
    '../_base_/datasets/coco-lt.py',
    '../_base_/schedules/schedule_2x.py',
    '../_base_/default_runtime.py',
]

model = dict(
    roi_head=dict(
        type='LongTailRoIHead',
        augmenter=dict(
            type='FASA',
            momentum=0.1,  # weight of the new statistics
            total_weight=0.1,  # of the mean loss of the virtual features
            up=1.1,
            down=0.9,
            start=1),  # epoch
        bbox_head=dict(num_classes=_base_.num_classes)))
