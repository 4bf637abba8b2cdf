# tau-normalisation on Emoji-LT mini: no training of its own, but a test of the SCE baseline.
# tools/calibrate.py chooses tau.
_base_ = '../baselines/faster-rcnn_effnet-lite0_emoji-lt-mini_sce.py'

model = dict(
    roi_head=dict(type='LongTailRoIHead'),
    test_cfg=dict(rcnn=dict(calibrator=dict(type='TauNorm', tau=1.0))))
