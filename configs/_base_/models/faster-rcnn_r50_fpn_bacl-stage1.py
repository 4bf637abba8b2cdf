# Stage 1 of BACL: sigmoid classifier with objectness, more proposals. A config on top sets
# bbox_head.num_classes.
_base_ = './faster-rcnn_r50_fpn_bce-obj.py'

model = dict(train_cfg=dict(rpn_proposal=dict(max_per_img=2000)))
