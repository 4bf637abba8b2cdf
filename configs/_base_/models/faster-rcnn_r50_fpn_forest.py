# Forest R-CNN: classifiers of coarser classes, and an RPN with NMS resampling. A config on top sets
# bbox_head.num_classes and bbox_head.loss_cls.trees.
_base_ = './faster-rcnn_r50_fpn.py'

num_parents = (25, 50, 108)  # of the visual, geometric and lexical tree

model = dict(
    data_preprocessor=dict(batch_augments=[dict(type='KeepClassLabels')]),
    rpn_head=dict(
        type='ResamplingRPNHead',
        iou_thrs=(0.9, 0.8, 0.7),  # rare, common, frequent
        near_iou_thr=0.3,
        max_per_level=2000),
    roi_head=dict(
        bbox_head=dict(
            type='ConvFCBBoxHead',
            num_shared_fcs=1,
            num_reg_fcs=1,
            cls_predictor_cfg=dict(type='ForestLinear', num_parents=num_parents),
            loss_cls=dict(_delete_=True, type='ForestLoss', num_parents=num_parents))),
    train_cfg=dict(rpn_proposal=dict(max_per_img=2000)))
