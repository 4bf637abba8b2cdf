# Stage 1 of DisAlign with a cosine classifier: softmax, LVIS v0.5, 12 epochs, 8 GPUs x 2 images.
_base_ = [
    '../_base_/models/faster-rcnn_r50_fpn_cosine.py',
    '../_base_/datasets/lvis_v0.5.py',
    '../_base_/schedules/schedule_1x.py',
    '../_base_/default_runtime.py',
]

model = dict(roi_head=dict(bbox_head=dict(num_classes=_base_.num_classes)))
