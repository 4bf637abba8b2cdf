# CLIS on LVIS v1 and ImageNet-LVIS, 24 epochs of LVIS. The paper reports AP 31.1 on LVIS, and 10.1
# more on tail classes than its baseline; of which version, backbone and schedule is not known.
_base_ = [
    '../_base_/models/faster-rcnn_r50_fpn_clis.py',
    '../_base_/datasets/lvis_v1_image-level-pairs.py',
    '../_base_/schedules/schedule_2x.py',
    '../_base_/default_runtime.py',
]

model = dict(roi_head=dict(bbox_head=dict(num_classes=_base_.num_classes)))

auto_scale_lr = dict(base_batch_size=32)  # 16 images and as many pictures
