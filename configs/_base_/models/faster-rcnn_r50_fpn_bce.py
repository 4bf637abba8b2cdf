# Sigmoid classifier without objectness (BCE). A config on top sets num_classes of bbox_head and of
# its loss_cls.
_base_ = './faster-rcnn_r50_fpn_bce-obj.py'

model = dict(roi_head=dict(bbox_head=dict(loss_cls=dict(type='SigmoidBCELoss'))))
