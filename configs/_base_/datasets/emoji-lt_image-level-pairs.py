# Emoji-LT mini and, in every batch, as many pictures of single drawings, whose middle is pasted
# into the other images: an image is paired with a picture.
_base_ = './emoji-lt_image-level.py'

image_level_data = dict(
    _base_.image_level_data,
    pipeline=[
        dict(type='LoadCoarseBox', rule='centre') if step.type == 'LoadCoarseBox' else step
        for step in _base_.image_level_data.pipeline
    ])

train_dataloader = dict(
    batch_size=32,
    collate_fn=dict(
        type='paste_image_level_regions',
        prob=1.0,
        size_range=(0.1, 0.5),  # times the shorter side
        min_visible=0.3),
    dataset=dict(datasets=[_base_.train_dataloader.dataset.datasets[0], image_level_data]))
