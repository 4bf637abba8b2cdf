# Stage 2 of BACL with repeat factor sampling, LVIS v1, 12 epochs, each longer than without.
_base_ = './faster-rcnn_r50_fpn_bacl-stage2_lvis-v1.py'

# The training tool starts from the last checkpoint of this config.
stage1_config = './faster-rcnn_r50_fpn_bacl-stage1_lvis-v1.py'

train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='ClassBalancedDataset',
        oversample_thr=1e-3,
        dataset=_base_.train_dataloader.dataset))
