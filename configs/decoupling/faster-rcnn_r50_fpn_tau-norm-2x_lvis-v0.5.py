# tau-normalisation, LVIS v0.5: no training of its own, but a test of sce-2x. tools/calibrate.py
# chooses tau.
_base_ = '../baselines/faster-rcnn_r50_fpn_sce-2x_lvis-v0.5.py'

model = dict(
    roi_head=dict(type='LongTailRoIHead'),
    test_cfg=dict(rcnn=dict(calibrator=dict(type='TauNorm', tau=1.0))))
