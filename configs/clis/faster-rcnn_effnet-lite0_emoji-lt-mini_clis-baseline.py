# As no-images, but one stack for localisation and classification: A0 of the ablation.
_base_ = './faster-rcnn_effnet-lite0_emoji-lt-mini_clis-no-images.py'

model = dict(roi_head=dict(bbox_head=dict(num_shared_fcs=2, num_cls_fcs=0, num_reg_fcs=0)))
