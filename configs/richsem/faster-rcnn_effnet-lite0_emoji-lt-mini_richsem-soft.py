# Soft labels alone on Emoji-LT mini: the semantic branch on detection data, no other data.
_base_ = [
    '../_base_/models/faster-rcnn_effnet-lite0_fpn_richsem.py',
    '../_base_/datasets/emoji-lt.py',
    '../_base_/schedules/schedule_emoji-lt_joint.py',
    '../_base_/default_runtime.py',
]

model = dict(
    teacher=dict(cached_sources=('detection', )),
    roi_head=dict(image_label_weight=0.0, bbox_head=dict(num_classes=_base_.num_classes)))
