# Stage 1 of BACL on Mask R-CNN. A config on top sets num_classes of bbox_head and mask_head.
_base_ = ['./faster-rcnn_r50_fpn_bacl-stage1.py', './mask_branch.py']

model = dict(_base_.mask_branch, type='MaskRCNN')
