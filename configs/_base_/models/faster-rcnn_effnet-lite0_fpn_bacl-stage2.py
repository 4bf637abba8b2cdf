# Stage 2 of BACL on the small Faster R-CNN. A config on top sets bbox_head.num_classes.
_base_ = './faster-rcnn_effnet-lite0_fpn_stage2.py'

model = dict(
    roi_head=dict(
        type='FHMRoIHead',
        hallucinator=dict(
            type='FeatureHallucinator',
            num_sampled_classes=16,  # c; 8 per 2 images in the paper, here per batch of 16
            num_features_per_class=12,  # m
            momentum=0.1),  # weight of the new statistics, 1 - beta
        bbox_head=dict(
            loss_cls=dict(
                type='FCBL',
                alpha=0.85,
                prob_thr=0.7,
                indicator=dict(type='ConfusionMatrix')))))
