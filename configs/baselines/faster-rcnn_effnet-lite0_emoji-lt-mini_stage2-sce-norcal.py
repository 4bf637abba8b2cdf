# SCE on Emoji-LT mini, tested with NorCal. The training is that of stage2-sce, whose
# checkpoints can be tested with this config, too. gamma comes from no data; tools/calibrate.py
# chooses one by data.
_base_ = './faster-rcnn_effnet-lite0_emoji-lt-mini_stage2-sce.py'

model = dict(
    roi_head=dict(type='LongTailRoIHead'),
    test_cfg=dict(
        rcnn=dict(
            calibrator=dict(
                type='NorCal',
                gamma=0.5,  # scores divided by the square root of the number of images
                ann_file=_base_.data_root + 'annotations/emoji_lt_train.json'))))
