# Forest R-CNN on Emoji-LT mini in one stage, as long as both stages together.
_base_ = '../baselines/faster-rcnn_effnet-lite0_emoji-lt-mini_sce.py'

num_parents = (6, 12, 24)  # of the visual, geometric and lexical tree

model = dict(
    data_preprocessor=dict(batch_augments=[dict(type='KeepClassLabels')]),
    rpn_head=dict(type='ResamplingRPNHead'),
    roi_head=dict(
        bbox_head=dict(
            type='ConvFCBBoxHead',
            num_shared_fcs=1,
            num_reg_fcs=1,
            cls_predictor_cfg=dict(type='ForestLinear', num_parents=num_parents),
            loss_cls=dict(
                _delete_=True,
                type='ForestLoss',
                num_parents=num_parents,
                trees=_base_.data_root + 'annotations/class_trees.json'),
            init_cfg=None)))  # mmdet's own
