# Faster R-CNN of De-confound-TDE: a normalised classifier of two heads, and a direct effect at test
# time. A config on top sets bbox_head.num_classes.
_base_ = './faster-rcnn_r50_fpn.py'

model = dict(
    roi_head=dict(
        type='LongTailRoIHead',
        bbox_head=dict(
            cls_predictor_cfg=dict(
                type='TDELinear',
                num_heads=2,
                temperature=16.0,
                gamma=1 / 32,
                alpha=1.5,  # acts at test time only
                decay=0.9998))))
