# Faster R-CNN of RIO: cosine classifier and replay of stored RoI features. A config on top sets
# bbox_head.num_classes.
_base_ = './faster-rcnn_r50_fpn.py'

model = dict(
    roi_head=dict(
        type='LongTailRoIHead',
        augmenter=dict(
            type='FeatureReplay',
            capacity=60,
            num_features_per_class=20,
            max_images=30),  # the classes that are replayed: with at most so many training images
        bbox_head=dict(
            cls_predictor_cfg=dict(
                type='CosineLinear', scale=48.0, learns_scale=False, with_gain=True, eps=1e-5))))
