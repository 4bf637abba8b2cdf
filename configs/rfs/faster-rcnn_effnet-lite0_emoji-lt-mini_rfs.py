# Repeat factor sampling on Emoji-LT mini in one stage, as long as both stages together.
_base_ = '../baselines/faster-rcnn_effnet-lite0_emoji-lt-mini_sce.py'

train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='ClassBalancedDataset',
        oversample_thr=0.067,  # share of the training images: 100 of them, as 1e-3 is of LVIS
        dataset=_base_.train_dataloader.dataset))
