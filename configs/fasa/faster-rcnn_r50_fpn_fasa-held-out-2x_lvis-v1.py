# FASA as its official code has it, LVIS v1, 24 epochs: sampling adapts to losses of the validation
# set, so results on it are not those of unseen images.
_base_ = './faster-rcnn_r50_fpn_fasa-2x_lvis-v1.py'

model = dict(roi_head=dict(augmenter=dict(held_out=True)))

custom_hooks = [
    dict(
        type='HeldOutLossHook',
        dataloader=dict(
            _base_.train_dataloader,
            dataset=dict(
                _base_.train_dataloader.dataset, ann_file='annotations/lvis_v1_val.json')))
]
