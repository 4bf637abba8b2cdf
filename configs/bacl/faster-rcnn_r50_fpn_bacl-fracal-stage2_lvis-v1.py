# BACL, its scores calibrated by FRACAL, LVIS v1. Trained as the config below, whose
# checkpoints will do, too. tools/calibrate.py chooses lambda_.
_base_ = './faster-rcnn_r50_fpn_bacl-stage2_lvis-v1.py'

# The training tool starts from the last checkpoint of this config.
stage1_config = './faster-rcnn_r50_fpn_bacl-stage1_lvis-v1.py'

model = dict(
    test_cfg=dict(
        rcnn=dict(
            score_thr=1e-8,  # of a product of two sigmoids; 1e-4 of one
            calibrator=dict(
                type='SigmoidFRACAL',
                lambda_=2.0,  # published for other models, not tuned
                ann_file=_base_.data_root + 'annotations/lvis_v1_train.json'))))
