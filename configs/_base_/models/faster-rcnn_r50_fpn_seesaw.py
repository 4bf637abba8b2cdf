# Seesaw loss. A config on top sets bbox_head.num_classes.
_base_ = './faster-rcnn_r50_fpn.py'

model = dict(
    roi_head=dict(
        bbox_head=dict(
            # Cosine of feature and class times 20, the default. Not written out: mmdet 3.3 spells
            # the argument 'tempearture', its successor 'temperature'.
            cls_predictor_cfg=dict(type='NormedLinear'),
            loss_cls=dict(_delete_=True, type='SynchronizedSeesawLoss', p=0.8, q=2.0))))
