# RichSem beside the softmax classifier of the small Faster R-CNN, with a teacher that needs no
# download. A config on top sets bbox_head.num_classes.
_base_ = './faster-rcnn_effnet-lite0_fpn.py'

model = dict(
    type='ImageSupervisedDetector',
    # Images change by flips alone.
    teacher=dict(type='ConSETeacher', scale=5.0, cached_sources=('detection', 'image_level')),
    roi_head=dict(
        type='ImageSupervisedRoIHead',
        semantic_branch=dict(type='TextCosineLinear', embed_dims=384, scale=5.0),
        soft_label_weight=0.5,
        image_label_weight=0.1,
        bbox_head=dict(
            loss_cls=dict(_delete_=True, type='CrossEntropyLoss', use_sigmoid=False),
            # A softmax needs no prior probability: mmdet's own initialisation.
            init_cfg=[
                dict(type='Normal', std=0.01, override=dict(name='fc_cls')),
                dict(type='Normal', std=0.001, override=dict(name='fc_reg')),
                dict(type='Xavier', distribution='uniform', override=dict(name='shared_fcs')),
            ])))
