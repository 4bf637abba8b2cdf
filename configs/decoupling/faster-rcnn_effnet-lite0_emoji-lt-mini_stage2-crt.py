# Stage 2 on Emoji-LT mini: cRT, a new softmax classifier on classes sampled alike.
_base_ = '../baselines/faster-rcnn_effnet-lite0_emoji-lt-mini_stage2-sce.py'

# The training tool starts from the last checkpoint of this config.
stage1_config = '../baselines/faster-rcnn_effnet-lite0_emoji-lt-mini_stage1.py'

# A class is drawn, then an image that shows it.
train_dataloader = dict(sampler=dict(_delete_=True, type='ClassAwareSampler'))

model = dict(trainable=('fc_cls',))
