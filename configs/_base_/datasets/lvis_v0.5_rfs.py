# LVIS v0.5 with repeat factor sampling: images with classes of fewer than one in 1,000 images are
# repeated.
_base_ = './lvis_v0.5.py'

train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='ClassBalancedDataset',
        oversample_thr=1e-3,
        dataset=_base_.train_dataloader.dataset))
