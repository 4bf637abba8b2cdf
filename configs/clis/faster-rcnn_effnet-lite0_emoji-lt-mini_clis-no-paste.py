# CLIS on Emoji-LT mini without pasted regions, hence without pairs: A3 of the ablation.
_base_ = './faster-rcnn_effnet-lite0_emoji-lt-mini_clis-no-contrast.py'

train_dataloader = dict(collate_fn=dict(prob=0.0))
