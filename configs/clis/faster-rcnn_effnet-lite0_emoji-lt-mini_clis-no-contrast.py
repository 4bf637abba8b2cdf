# CLIS on Emoji-LT mini without its contrastive loss: A4 of the ablation.
_base_ = './faster-rcnn_effnet-lite0_emoji-lt-mini_clis.py'

model = dict(roi_head=dict(contrastive_loss=None))
