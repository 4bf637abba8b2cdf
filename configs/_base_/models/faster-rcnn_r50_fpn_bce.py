# Sigmoid classifier without objectness (BCE). A config on top sets bbox_head.num_classes.
_base_ = './faster-rcnn_r50_fpn_bce-obj.py'

model = dict(roi_head=dict(bbox_head=dict(loss_cls=dict(type='SigmoidBCELoss'))))
