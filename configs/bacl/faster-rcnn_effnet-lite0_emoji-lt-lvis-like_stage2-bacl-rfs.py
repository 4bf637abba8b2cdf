# Stage 2 on Emoji-LT lvis-like: BACL with repeat factor sampling.
_base_ = './faster-rcnn_effnet-lite0_emoji-lt-lvis-like_stage2-bacl.py'

# The training tool starts from the last checkpoint of this config.
stage1_config = '../baselines/faster-rcnn_effnet-lite0_emoji-lt-lvis-like_stage1.py'

train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='ClassBalancedDataset',
        oversample_thr=0.0045,  # share of the training images: 100 of them, as 1e-3 is of LVIS
        dataset=_base_.train_dataloader.dataset))
