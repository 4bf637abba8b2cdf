# RichSem on CenterNet2 with a cascade, LVIS v1 and ImageNet-LVIS, 24 epochs of LVIS. The paper has
# AP / APr 31.5 / 25.6 without, 33.2 / 29.7 with Detic, 33.5 / 31.0 with RichSem (supplement,
# Table 4, which says neither schedule nor backbone).
#
# CenterNet2 (Zhou et al., arXiv 2103.07461) takes proposals from a class-agnostic CenterNet on P3
# to P7; settings are those of its official code. Not as there: scores of proposals do not multiply
# those of the classes; scores and boxes have layers of their own; more points are positive where
# boxes fit already; no point is ignored because of a high score.
_base_ = './cascade-rcnn_r50_fpn_richsem-2x_lvis-v1.py'

model = dict(
    neck=dict(start_level=1, add_extra_convs='on_output', relu_before_extra_convs=True),
    rpn_head=dict(
        _delete_=True,
        type='CenterNetRPNHead',
        num_classes=1,
        in_channels=256,
        stacked_convs=4,
        feat_channels=256,
        strides=[8, 16, 32, 64, 128],  # pixels
        # 0.5 for either, times the alpha of its focal loss, 0.25 and 0.75, which mmdet's has not.
        loss_cls=dict(
            type='GaussianFocalLoss', pos_weight=0.125, neg_weight=0.375, loss_weight=1.0),
        loss_bbox=dict(type='GIoULoss', loss_weight=1.0)),
    roi_head=dict(
        stage_loss_weights=[1, 1, 1],
        bbox_roi_extractor=dict(
            featmap_strides=[8, 16, 32, 64, 128],
            finest_scale=112)),  # pixels; as with P2, a RoI of 224 is read from P4
    train_cfg=dict(
        rpn=dict(_delete_=True),  # CenterNet assigns by itself
        rpn_proposal=dict(
            nms_pre=4000, max_per_img=2000, nms=dict(type='nms', iou_threshold=0.9)),
        rcnn=[
            dict(stage, assigner=dict(
                stage.assigner, pos_iou_thr=iou, neg_iou_thr=iou, min_pos_iou=iou))
            for stage, iou in zip(_base_.model.train_cfg.rcnn, (0.6, 0.7, 0.8), strict=True)
        ]),
    test_cfg=dict(
        rpn=dict(nms_pre=1000, max_per_img=256, nms=dict(type='nms', iou_threshold=0.9))))
