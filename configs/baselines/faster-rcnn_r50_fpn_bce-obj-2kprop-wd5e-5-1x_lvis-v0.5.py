# Table I: a smaller weight decay on top.
_base_ = './faster-rcnn_r50_fpn_bce-obj-2kprop-1x_lvis-v0.5.py'

optim_wrapper = dict(optimizer=dict(weight_decay=5e-5))
