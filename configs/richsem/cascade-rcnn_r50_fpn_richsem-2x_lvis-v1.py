# RichSem on Cascade R-CNN, LVIS v1 and ImageNet-LVIS, 24 epochs of LVIS. The paper has numbers of
# CenterNet2 with a cascade: centernet2_r50_fpn_richsem-2x_lvis-v1.py.
_base_ = [
    '../_base_/models/faster-rcnn_r50_fpn_richsem.py',
    '../_base_/models/cascade_stages.py',
    '../_base_/datasets/lvis_v1_image-level.py',
    '../_base_/schedules/schedule_2x.py',
    '../_base_/default_runtime.py',
]

model = dict(
    _base_.cascade,
    type='ImageSupervisedDetector',
    roi_head=dict(
        _base_.cascade.roi_head,
        type='ImageSupervisedCascadeRoIHead',
        bbox_head=[
            dict(_base_.model.roi_head.bbox_head, num_classes=_base_.num_classes, **stage)
            for stage in _base_.cascade_box_heads
        ]))
