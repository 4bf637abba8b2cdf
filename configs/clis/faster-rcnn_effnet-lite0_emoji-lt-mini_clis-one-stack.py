# As no-paste, but one stack for localisation and both classifications: A6 of the ablation.
_base_ = './faster-rcnn_effnet-lite0_emoji-lt-mini_clis-no-paste.py'

model = dict(roi_head=dict(bbox_head=dict(num_shared_fcs=2, num_cls_fcs=0, num_reg_fcs=0)))
