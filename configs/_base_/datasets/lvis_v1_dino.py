# LVIS v1 with repeat factor sampling and DINO's augmentation: half of the images are cropped.
_base_ = './lvis_v1.py'

# (longest long side, longest short side), pixels
scales = [(1333, short) for short in range(480, 801, 32)]
resize_or_crop = dict(
    type='RandomChoice',
    transforms=[
        [dict(type='RandomChoiceResize', scales=scales, keep_ratio=True)],
        [
            dict(
                type='RandomChoiceResize',
                scales=[(4200, 400), (4200, 500), (4200, 600)],
                keep_ratio=True),
            dict(
                type='RandomCrop',
                crop_type='absolute_range',
                crop_size=(384, 600),
                allow_negative_crop=True),
            dict(type='RandomChoiceResize', scales=scales, keep_ratio=True),
        ],
    ])

train_dataloader = dict(
    sampler=dict(_delete_=True, type='RepeatFactorSampler', oversample_thr=1e-3),
    dataset=dict(
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadAnnotations', with_bbox=True),
            dict(type='RandomFlip', prob=0.5),
            resize_or_crop,
            dict(type='DropEmptyGT'),
            dict(type='PackDetInputs'),
        ]))
