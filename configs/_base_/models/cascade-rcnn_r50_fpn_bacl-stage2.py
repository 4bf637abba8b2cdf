# Stage 2 of BACL on Cascade R-CNN: FCBL and feature hallucination in each stage of the cascade. A
# config on top sets num_classes as in cascade-rcnn_r50_fpn.py.
_base_ = ['./faster-rcnn_r50_fpn_bacl-stage2.py', './cascade_stages.py']

model = dict(
    _base_.cascade,
    roi_head=dict(
        _base_.cascade.roi_head,
        type='FHMCascadeRoIHead',
        bbox_head=[
            dict(_base_.model.roi_head.bbox_head, **stage) for stage in _base_.cascade_box_heads
        ]))
