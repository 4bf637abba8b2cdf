# Stage 1 of BACL on Cascade R-CNN: sigmoid classifiers with objectness. A config on top sets
# num_classes as in cascade-rcnn_r50_fpn.py.
_base_ = ['./faster-rcnn_r50_fpn_bacl-stage1.py', './cascade_stages.py']

model = dict(
    _base_.cascade,
    type='CascadeRCNN',
    roi_head=dict(
        _base_.cascade.roi_head,
        type='CascadeRoIHead',
        bbox_head=[
            dict(_base_.model.roi_head.bbox_head, **stage) for stage in _base_.cascade_box_heads
        ]))
