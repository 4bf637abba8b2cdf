# Stage 2 of BACL: FCBL and feature hallucination on a frozen extractor. A config on top sets
# bbox_head.num_classes.
_base_ = './faster-rcnn_r50_fpn_bacl-stage1.py'

model = dict(
    type='DecoupledTwoStageDetector',
    backbone=dict(init_cfg=None),  # all weights come from stage 1
    roi_head=dict(
        type='FHMRoIHead',
        hallucinator=dict(
            type='FeatureHallucinator',
            num_sampled_classes=8,  # c
            num_features_per_class=12,  # m
            momentum=0.1,  # weight of the new statistics, 1 - beta
            box_generator=dict(type='GTBoxGenerator')),
        bbox_head=dict(
            loss_cls=dict(
                _delete_=True,
                type='FCBL',
                alpha=0.85,
                prob_thr=0.7,
                indicator=dict(type='ConfusionMatrix'),
                loss_weight=1.0))))
