# Emoji-LT lvis-like and, in every second batch, pictures of single drawings with a class and
# without boxes, built by tools/dataset_tools/build_emoji_lt.py --preset lvis-like --image-level.
_base_ = './emoji-lt-lvis-like.py'

image_level_data = dict(
    type='ImageLevelDataset',
    data_root='data/emoji_lt/',
    ann_file='lvis-like-image-level/emoji_lt_image_level.json',
    data_prefix=dict(img='lvis-like-image-level/'),
    class_file='lvis-like/annotations/emoji_lt_val.json',
    pipeline=[
        dict(type='LoadImageFromFile'),
        dict(type='LoadCoarseBox', rule='whole'),
        dict(type='RandomFlip', prob=0.5),
        dict(
            type='PackDetInputs',
            meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'flip', 'flip_direction',
                       'source')),
    ])

train_dataloader = dict(
    sampler=dict(_delete_=True, type='JointSampler', samples_per_round=(16, 16)),
    dataset=dict(
        _delete_=True,
        type='JointDataset',
        datasets=[_base_.train_dataloader.dataset, image_level_data]))
