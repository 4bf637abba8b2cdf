# LVIS v1 with repeat factor sampling and, in every batch, as many pictures of ImageNet-LVIS, whose
# middle is pasted into the others. The classes of pictures are drawn evenly. Pictures are small: a
# batch is padded to its largest image.
_base_ = './lvis_v1_image-level.py'

train_dataloader = dict(
    batch_size=4,
    collate_fn=dict(
        type='paste_image_level_regions',
        prob=1.0,
        size_range=(0.1, 0.5),  # times the shorter side
        min_visible=0.3),
    sampler=dict(samplers=[
        dict(type='RepeatFactorSampler', oversample_thr=1e-3),
        dict(type='ClassAwareSampler'),
    ]),
    dataset=dict(
        datasets=[
            _base_.train_dataloader.dataset.datasets[0],
            dict(
                _base_.image_level_data.dataset,
                pipeline=[
                    dict(type='LoadImageFromFile'),
                    dict(type='LoadCoarseBox', rule='centre'),
                    dict(
                        type='RandomResize',
                        scale=[(640, 320), (640, 448)],  # (long side, short side), pixels
                        keep_ratio=True),
                    dict(type='RandomFlip', prob=0.5),
                    _base_.image_level_data.pipeline[-1],
                ]),
        ]))
