# What Mask R-CNN adds to Faster R-CNN (mmdet's settings, except for the predictor). To be used with
# a config of Faster R-CNN. A config on top sets num_classes of mask_head, too.
mask_branch = dict(
    data_preprocessor=dict(pad_mask=True),
    roi_head=dict(
        mask_roi_extractor=dict(
            type='SingleRoIExtractor',
            roi_layer=dict(type='RoIAlign', output_size=14, sampling_ratio=0),
            out_channels=256,
            featmap_strides=[4, 8, 16, 32]),
        mask_head=dict(
            type='FCNMaskHead',
            num_convs=4,
            in_channels=256,
            conv_out_channels=256,
            # Cosine of pixel and class times 20, the default. Not written out: mmdet 3.3 spells the
            # argument 'tempearture', its successor 'temperature'.
            predictor_cfg=dict(type='NormedConv2d'),
            loss_mask=dict(type='CrossEntropyLoss', use_mask=True, loss_weight=1.0))),
    train_cfg=dict(rcnn=dict(mask_size=28)),  # pixels of a side
    test_cfg=dict(rcnn=dict(mask_thr_binary=0.5)))
