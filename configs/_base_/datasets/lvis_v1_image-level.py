# LVIS v1 with repeat factor sampling and, in every second batch, mosaics of ImageNet-LVIS: the
# images of ImageNet-21k whose classes LVIS has, as Detic lists them. A coarse box is what the crop
# has left of an image.
_base_ = './lvis_v1.py'

image_level_data = dict(
    type='MultiImageMixDataset',
    dataset=dict(
        type='ImageLevelDataset',
        data_root='data/',
        ann_file='imagenet_lvis/imagenet_lvis_image_info.json',
        data_prefix=dict(img='imagenet_lvis/'),
        class_file='lvis_v1/annotations/lvis_v1_val.json',
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadCoarseBox', rule='whole'),
            dict(type='RandomFlip', prob=0.5),
        ]),
    pipeline=[
        dict(type='ImageLevelMosaic', img_scale=(640, 640), pad_val=114.0),  # pixels of a cell
        dict(
            type='PackDetInputs',
            meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'flip', 'flip_direction',
                       'source')),
    ])

train_dataloader = dict(
    sampler=dict(
        _delete_=True,
        type='JointSampler',
        samples_per_round=(2, 2),  # images per GPU
        samplers=[
            dict(type='RepeatFactorSampler', oversample_thr=1e-3),
            dict(type='DefaultSampler', shuffle=True),
        ]),
    batch_sampler=None,  # one by aspect ratio would mix both
    dataset=dict(
        _delete_=True,
        type='JointDataset',
        datasets=[_base_.train_dataloader.dataset, image_level_data]))
