# RichSem beside the sigmoid classifier of stage 1 on the small Faster R-CNN, with a teacher that
# needs no download. A config on top sets bbox_head.num_classes.
_base_ = './faster-rcnn_effnet-lite0_fpn.py'

model = dict(
    type='ImageSupervisedDetector',
    backbone=dict(init_cfg=None),  # all weights come from stage 1
    teacher=dict(
        type='ConSETeacher',
        scale=5.0,
        cached_sources=('detection', 'image_level'),  # images change by flips alone
        cache_file='work_dirs/teachers/conse_emoji-lt.sqlite'),
    roi_head=dict(
        type='ImageSupervisedRoIHead',
        semantic_branch=dict(type='TextCosineLinear', embed_dims=384, scale=5.0),
        soft_label_weight=0.5,
        image_label_weight=0.1))
