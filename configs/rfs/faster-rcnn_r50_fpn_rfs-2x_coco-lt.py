# Repeat factor sampling, COCO-LT, 24 epochs, each longer than without.
_base_ = '../baselines/faster-rcnn_r50_fpn_sce-2x_coco-lt.py'

train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='ClassBalancedDataset',
        oversample_thr=1e-3,  # share of the training images
        dataset=_base_.train_dataloader.dataset))
