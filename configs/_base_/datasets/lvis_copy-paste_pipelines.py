# Scale jitter, crop, flip and Copy-Paste on 1280 x 1280. To be used with MultiImageMixDataset:
# single_image_pipeline for each of the two images, then copy_paste_pipeline for the pair.
# LoadCroppedMasks, ContiguousRandomFlip and CroppedCopyPaste give what mmdet's LoadAnnotations,
# RandomFlip and CopyPaste give, in less time.
canvas = (1280, 1280)  # (w, h), pixels

single_image_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadCroppedMasks'),
    dict(type='RandomResize', scale=canvas, ratio_range=(0.8, 1.25), keep_ratio=True),
    dict(type='RandomCrop', crop_size=canvas, recompute_bbox=True, allow_negative_crop=True),
    dict(type='FilterAnnotations', min_gt_bbox_wh=(1e-2, 1e-2)),
    dict(type='DropEmptyGT'),
    dict(type='ContiguousRandomFlip', prob=0.5),
    # On raw pixels: Copy-Paste needs two images of one size. What else Pad changes is not taken:
    # img_shape, to which proposals are clipped, stays that of the image, as it did in mmdet 2.8.
    dict(
        type='KeyMapper',
        remapping=dict(img='img', gt_masks='gt_masks'),
        transforms=[dict(type='Pad', size=canvas)]),
]
copy_paste_pipeline = [
    dict(type='CroppedCopyPaste', max_num_pasted=100),
    # Copy-Paste keeps a box of area 0 for a hidden object in the upper left corner.
    dict(type='FilterAnnotations', min_gt_bbox_wh=(1e-2, 1e-2)),
    dict(type='PackDetInputs'),
]
