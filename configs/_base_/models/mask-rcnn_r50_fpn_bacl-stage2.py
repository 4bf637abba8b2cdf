# Stage 2 of BACL on Mask R-CNN; the mask head learns, too. A config on top sets num_classes of
# bbox_head and mask_head.
_base_ = ['./faster-rcnn_r50_fpn_bacl-stage2.py', './mask_branch.py']

model = _base_.mask_branch
