# Table XIII: RIO with repeat factor sampling, LVIS v1, 24 epochs. Officially 180,000 iterations
# of 16 images, Mask R-CNN.
_base_ = './faster-rcnn_r50_fpn_rio-random-2x_lvis-v1.py'

train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='ClassBalancedDataset',
        oversample_thr=1e-3,  # share of the training images
        dataset=_base_.train_dataloader.dataset))
