# Stage 2 of LOCE: equilibrium loss and memory-based feature sampling on a frozen extractor. A
# config on top sets bbox_head.num_classes.
_base_ = './faster-rcnn_r50_fpn.py'

model = dict(
    type='DecoupledTwoStageDetector',
    backbone=dict(init_cfg=None),  # all weights come from stage 1
    roi_head=dict(
        type='LongTailRoIHead',
        augmenter=dict(
            type='MemorySampler',
            num_sampled_classes=8,
            num_features_per_class=4,
            capacity=80),
        bbox_head=dict(
            loss_cls=dict(
                _delete_=True, type='EquilibriumLoss', gamma=0.9, background_score=0.01))))
