# Emoji-LT mini, built by tools/dataset_tools/build_emoji_lt.py. Its 120 categories are evaluated at
# 30 detections per image, the ratio of LVIS (300 at 1,203): the cap buries classes of low scores.
dataset_type = 'LongTailLVISV1Dataset'
data_root = 'data/emoji_lt/mini/'
num_classes = 120

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='DropEmptyGT'),
    dict(type='PackDetInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(160, 160), keep_ratio=True),  # their own size; sets scale_factor
    dict(
        type='PackDetInputs',
        meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')),
]

train_dataloader = dict(
    batch_size=16,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='annotations/emoji_lt_train.json',
        data_prefix=dict(img=''),
        filter_cfg=dict(filter_empty_gt=True, min_size=32),
        pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=8,
    num_workers=1,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='annotations/emoji_lt_val.json',
        data_prefix=dict(img=''),
        test_mode=True,
        pipeline=test_pipeline))
test_dataloader = val_dataloader

val_evaluator = dict(
    type='FastLVISMetric',
    ann_file=data_root + 'annotations/emoji_lt_val.json',
    exhaustive_ann_file=data_root + 'annotations/emoji_lt_val_exhaustive.json',
    metric='bbox',
    max_dets=30,  # detections per image, all categories together
    # Detections per category in fixed and pooled AP: half as many as images, like LVIS's 10,000 of
    # 19,809. The model gives 300 per image, so these have hardly a cap on an image.
    max_dets_per_class=200)
test_evaluator = val_evaluator
