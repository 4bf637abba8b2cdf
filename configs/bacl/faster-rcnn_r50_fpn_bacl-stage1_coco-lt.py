# Stage 1 of BACL, COCO-LT, 12 epochs, 8 GPUs x 2 images.
_base_ = [
    '../_base_/models/faster-rcnn_r50_fpn_bacl-stage1.py',
    '../_base_/datasets/coco-lt_copy-paste.py',
    '../_base_/schedules/schedule_1x.py',
    '../_base_/default_runtime.py',
]

model = dict(roi_head=dict(bbox_head=dict(num_classes=_base_.num_classes)))

optim_wrapper = dict(optimizer=dict(weight_decay=5e-5))
