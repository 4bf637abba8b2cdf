# BACL, its scores calibrated by FRACAL, Emoji-LT lvis-like. Trained as the config below, whose
# checkpoints will do, too. tools/calibrate.py chooses lambda_.
_base_ = './faster-rcnn_effnet-lite0_emoji-lt-lvis-like_stage2-bacl.py'

# The training tool starts from the last checkpoint of this config.
stage1_config = '../baselines/faster-rcnn_effnet-lite0_emoji-lt-lvis-like_stage1.py'

model = dict(
    test_cfg=dict(
        rcnn=dict(
            calibrator=dict(
                type='SigmoidFRACAL',
                lambda_=2.0,  # published for other models, not tuned
                ann_file=_base_.data_root + 'annotations/emoji_lt_train.json'))))
