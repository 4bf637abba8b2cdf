# Stage 2 on Emoji-LT lvis-like: LWS, a factor for each weight vector of the classifier of stage 1,
# with its loss, on classes sampled alike.
_base_ = '../baselines/faster-rcnn_effnet-lite0_emoji-lt-lvis-like_stage2-bce.py'

# The training tool starts from the last checkpoint of this config.
stage1_config = '../baselines/faster-rcnn_effnet-lite0_emoji-lt-lvis-like_stage1.py'

# A class is drawn, then an image that shows it.
train_dataloader = dict(sampler=dict(_delete_=True, type='ClassAwareSampler'))

model = dict(
    trainable=('class_scale',),
    roi_head=dict(bbox_head=dict(cls_predictor_cfg=dict(type='ScaledLinear'))))
