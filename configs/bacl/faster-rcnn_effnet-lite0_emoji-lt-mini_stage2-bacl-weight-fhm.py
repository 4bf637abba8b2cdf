# Table III, and Table IV with alpha = 0: weights and feature hallucination; on Emoji-LT mini.
_base_ = './faster-rcnn_effnet-lite0_emoji-lt-mini_stage2-bacl.py'

model = dict(roi_head=dict(bbox_head=dict(loss_cls=dict(with_margin=False))))
