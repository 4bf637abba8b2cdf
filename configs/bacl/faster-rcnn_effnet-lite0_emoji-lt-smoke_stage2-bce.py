# Stage 2 on Emoji-LT smoke, baseline: the loss of stage 1 on the frozen extractor.
_base_ = './faster-rcnn_effnet-lite0_emoji-lt-smoke_stage1.py'

# The training tool starts from the last checkpoint of this config.
stage1_config = 'faster-rcnn_effnet-lite0_emoji-lt-smoke_stage1'

model = dict(type='DecoupledTwoStageDetector', backbone=dict(init_cfg=None))
