# Stage 2 on Emoji-LT lvis-like: the classifiers of Forest R-CNN on the frozen extractor.
_base_ = '../baselines/faster-rcnn_effnet-lite0_emoji-lt-lvis-like_stage2-sce.py'

# The training tool starts from the last checkpoint of this config.
stage1_config = '../baselines/faster-rcnn_effnet-lite0_emoji-lt-lvis-like_stage1.py'

num_parents = (25, 50, 108)  # of the visual, geometric and lexical tree

model = dict(
    roi_head=dict(
        bbox_head=dict(
            cls_predictor_cfg=dict(type='ForestLinear', num_parents=num_parents),
            loss_cls=dict(
                _delete_=True,
                type='ForestLoss',
                num_parents=num_parents,
                trees=_base_.data_root + 'annotations/class_trees.json'))))
