# LVIS v1 with repeat factor sampling and, in every batch, as many images of ImageNet-LVIS, whose
# middle is pasted into the others. They are small: a batch is padded to its largest image.
_base_ = './lvis_v1_image-level.py'

image_level_data = dict(
    _delete_=True,
    type='ImageLevelDataset',
    data_root='data/',
    ann_file='imagenet_lvis/imagenet_lvis_image_info.json',
    data_prefix=dict(img='imagenet_lvis/'),
    class_file='lvis_v1/annotations/lvis_v1_val.json',
    pipeline=[
        dict(type='LoadImageFromFile'),
        dict(type='LoadCoarseBox', rule='centre'),
        dict(type='RandomResize', scale=[(640, 320), (640, 448)], keep_ratio=True),  # long, short
        dict(type='RandomFlip', prob=0.5),
        dict(
            type='PackDetInputs',
            meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'flip', 'flip_direction',
                       'source')),
    ])

train_dataloader = dict(
    batch_size=4,
    collate_fn=dict(
        type='paste_image_level_regions',
        prob=1.0,
        size_range=(0.1, 0.5),  # times the shorter side
        min_visible=0.3),
    dataset=dict(datasets=[_base_.train_dataloader.dataset.datasets[0], image_level_data]))
