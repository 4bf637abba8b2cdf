# LVIS v1 as for DINO and, in every second batch, mosaics of ImageNet-LVIS; see
# lvis_v1_image-level.py. An image of these is resized or cropped as those of LVIS are.
_base_ = './lvis_v1_dino.py'

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
            _base_.resize_or_crop,
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
            _base_.train_dataloader.sampler,
            dict(type='DefaultSampler', shuffle=True),
        ]),
    batch_sampler=None,  # one by aspect ratio would mix both
    dataset=dict(
        _delete_=True,
        type='JointDataset',
        datasets=[_base_.train_dataloader.dataset, image_level_data]))
