# Faster R-CNN with a cosine softmax classifier. A config on top sets bbox_head.num_classes.
_base_ = './faster-rcnn_r50_fpn.py'

model = dict(
    roi_head=dict(bbox_head=dict(cls_predictor_cfg=dict(type='CosineLinear', scale=20.0))))
