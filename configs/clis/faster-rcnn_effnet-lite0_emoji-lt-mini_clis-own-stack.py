# As no-paste, but image classification has layers of its own: A2 of the ablation.
_base_ = './faster-rcnn_effnet-lite0_emoji-lt-mini_clis-no-paste.py'

model = dict(roi_head=dict(shares_stack=False))
