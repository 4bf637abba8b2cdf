# Stage 1 of BACL on Cascade R-CNN, LVIS v1, 12 epochs.
_base_ = [
    '../_base_/models/cascade-rcnn_r50_fpn_bacl-stage1.py',
    '../_base_/datasets/lvis_v1_copy-paste.py',
    '../_base_/schedules/schedule_1x.py',
    '../_base_/default_runtime.py',
]

model = dict(
    roi_head=dict(
        bbox_head=[
            dict(head, num_classes=_base_.num_classes)
            for head in _base_.model.roi_head.bbox_head
        ]))

optim_wrapper = dict(optimizer=dict(weight_decay=5e-5))
