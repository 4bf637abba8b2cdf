# tau-normalisation, COCO-LT: no training of its own, but a test of sce-2x. tools/calibrate.py
# chooses tau.
_base_ = '../baselines/faster-rcnn_r50_fpn_sce-2x_coco-lt.py'

model = dict(
    roi_head=dict(type='LongTailRoIHead'),
    test_cfg=dict(rcnn=dict(calibrator=dict(type='TauNorm', tau=1.0))))
