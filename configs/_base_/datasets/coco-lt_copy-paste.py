# COCO-LT; training images with Copy-Paste on 1280 x 1280 instead of multi-scale.
_base_ = ['./coco-lt.py', './lvis_copy-paste_pipelines.py']

train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='MultiImageMixDataset',
        dataset=dict(_base_.train_dataloader.dataset, pipeline=_base_.single_image_pipeline),
        pipeline=_base_.copy_paste_pipeline))
