# SCE on Emoji-LT lvis-like, tested with NorCal: the training is that of stage2-sce, whose checkpoints this
# config tests, too. gamma is no choice of any data; tools/calibrate.py makes one.
_base_ = './faster-rcnn_effnet-lite0_emoji-lt-lvis-like_stage2-sce.py'

model = dict(
    roi_head=dict(type='LongTailRoIHead'),
    test_cfg=dict(
        rcnn=dict(
            calibrator=dict(
                type='NorCal',
                gamma=0.5,  # scores divided by the square root of the number of images
                ann_file=_base_.data_root + 'annotations/emoji_lt_train.json'))))
