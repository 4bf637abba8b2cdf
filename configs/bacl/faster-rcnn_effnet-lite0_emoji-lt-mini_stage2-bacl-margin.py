# Table III: margins only; on Emoji-LT mini.
_base_ = './faster-rcnn_effnet-lite0_emoji-lt-mini_stage2-bacl.py'

model = dict(
    roi_head=dict(
        hallucinator=None,
        bbox_head=dict(loss_cls=dict(with_weight=False))))
