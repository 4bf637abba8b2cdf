import bacl  # noqa: F401
import pytest
import torch
from bacl.models.roi_heads import FrozenRoIExtractor
from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor

STRIDES = [4, 8, 16]


def make(cls, strides=STRIDES, **layer):
    layer = dict(type='RoIAlign', output_size=7, sampling_ratio=1) | layer
    return cls(layer, out_channels=6, featmap_strides=strides, finest_scale=28)


def maps(strides=STRIDES, height=96, width=64, **kwargs):
    return tuple(torch.randn(3, 6, height // s, width // s, **kwargs) for s in strides)


def rois(num, low, high):
    """RoIs with sides in [low, high], some of them beyond the border of the image."""
    corner = torch.rand(num, 2) * 100 - 20
    return torch.cat([torch.randint(3, (num, 1)).float(), corner,
                      corner + low + (high - low) * torch.rand(num, 2)], dim=1)


@pytest.mark.parametrize('low, high', [(4, 30), (70, 90), (130, 200), (4, 200), (0, 0)])
@pytest.mark.parametrize('layer', [dict(), dict(sampling_ratio=2), dict(output_size=(3, 5)),
                                   dict(aligned=False), dict(sampling_ratio=0),
                                   dict(pool_mode='avg', use_torchvision=True)])
def test_features_are_those_of_the_host_for_every_mix_of_levels(low, high, layer):
    host, ours = make(SingleRoIExtractor, **layer), make(FrozenRoIExtractor, **layer)
    feats, boxes = maps(), rois(600, low, high)  # more than are computed at once
    torch.testing.assert_close(ours(feats, boxes), host(feats, boxes), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize('strides', [STRIDES, [8]])
def test_no_rois_scaled_rois_and_one_map(strides):
    host, ours = make(SingleRoIExtractor, strides), make(FrozenRoIExtractor, strides)
    feats = tuple(feat.contiguous(memory_format=torch.channels_last) for feat in maps(strides))
    assert ours(feats, rois(0, 4, 30)).shape == host(feats, rois(0, 4, 30)).shape == (0, 6, 7, 7)
    boxes = rois(20, 4, 100)
    for scale in (None, 1.5):
        torch.testing.assert_close(ours(feats, boxes, roi_scale_factor=scale),
                                   host(feats, boxes, roi_scale_factor=scale))


def test_maps_that_learn_get_the_gradient_of_the_host():
    feats, boxes = maps(requires_grad=True), rois(40, 4, 200)
    grads = [torch.autograd.grad(make(cls)(feats, boxes).square().sum(), feats)
             for cls in (SingleRoIExtractor, FrozenRoIExtractor)]
    for theirs, ours in zip(*grads, strict=True):
        assert torch.equal(theirs, ours) and theirs.any()


def test_half_precision_is_left_to_the_host():
    feats, boxes = maps(dtype=torch.bfloat16), rois(20, 4, 100)
    assert torch.equal(make(FrozenRoIExtractor)(feats, boxes),
                       make(SingleRoIExtractor)(feats, boxes))
