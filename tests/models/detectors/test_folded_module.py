import bacl  # noqa: F401
import pytest
import torch
from bacl.models.detectors.folded_module import FoldedModule
from mmdet.registry import MODELS
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

BACKBONES = {
    'ResNet-18': dict(type='ResNet', depth=18),
    'ResNet-50': dict(type='ResNet', depth=50),
    'ResNeXt-50': dict(type='ResNeXt', depth=50, groups=32, base_width=4),
    'EfficientNet-Lite0': dict(type='EfficientNetLite0'),
}


def with_statistics(module):
    """Batch norms as after training: none is the identity."""
    for norm in module.modules():
        if isinstance(norm, _BatchNorm):
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.normal_(norm.bias, std=0.1)
            nn.init.normal_(norm.running_mean, std=0.1)
            nn.init.uniform_(norm.running_var, 0.5, 1.5)
    module.eval()
    return module.requires_grad_(False)


def make(name):
    return with_statistics(MODELS.build(BACKBONES[name]))


def assert_same_maps(ours, theirs):
    for folded, expected in zip(ours, theirs, strict=True):
        # Relative to the largest value: many are 0 behind a ReLU.
        scale = expected.abs().max()
        torch.testing.assert_close(folded / scale, expected / scale, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize('name', BACKBONES)
def test_outputs_are_those_of_the_module_and_the_state_dict_is_untouched(name, num_norm_calls):
    backbone = make(name)
    before = {key: value.clone() for key, value in backbone.state_dict().items()}
    folded, x = FoldedModule(backbone), torch.randn(2, 3, 64, 64)
    assert_same_maps(folded(x), backbone(x))
    assert num_norm_calls(lambda: folded(x)) == 0 < num_norm_calls(lambda: backbone(x))
    after = backbone.state_dict()
    assert list(before) == list(after)
    assert all(torch.equal(value, after[key]) for key, value in before.items())


@pytest.mark.parametrize('change', [
    lambda module: module.load_state_dict(make('ResNet-18').state_dict()),
    lambda module: module.load_state_dict(make('ResNet-18').state_dict(), assign=True),
    lambda module: module.bn1.running_mean.add_(1),
    lambda module: module.to(torch.float64)])
def test_weights_that_change_are_followed(change, num_norm_calls):
    backbone, x = make('ResNet-18'), torch.randn(1, 3, 64, 64)
    folded = FoldedModule(backbone)
    before = folded(x)
    change(backbone)
    x = x.to(backbone.conv1.weight.dtype)
    after = folded(x)
    assert_same_maps(after, backbone(x))
    assert before[0].dtype != after[0].dtype or not torch.allclose(before[0], after[0])
    assert num_norm_calls(lambda: folded(x)) == 0


def test_a_watched_layer_is_computed(num_norm_calls):
    backbone, x = make('ResNet-18'), torch.randn(1, 3, 64, 64)
    folded, seen = FoldedModule(backbone), []
    folded(x)
    hook = backbone.bn1.register_forward_hook(lambda *_: seen.append(1))
    assert torch.equal(folded(x)[0], backbone(x)[0]) and len(seen) == 2
    hook.remove()
    assert num_norm_calls(lambda: folded(x)) == 0


class NormFirst(nn.Sequential):
    """The batch norm works on the input, though it was registered behind the convolution."""

    def __init__(self):
        super().__init__(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3))

    def forward(self, x):
        return self[0](self[1](x).relu())


def test_norms_that_do_not_follow_their_convolution_are_not_folded():
    module, x = with_statistics(NormFirst()), torch.randn(2, 3, 8, 8)
    folded = FoldedModule(module)
    for _ in range(2):
        assert torch.equal(folded(x), module(x))
    assert folded.is_equal is False


@pytest.mark.parametrize('norm', [
    nn.BatchNorm2d(4, affine=False), nn.BatchNorm2d(4, track_running_stats=False),
    nn.GroupNorm(2, 4)])
def test_other_norms_are_left_alone(norm):
    module = nn.Sequential(nn.Conv2d(3, 4, 1), norm).eval()
    x = torch.randn(2, 3, 8, 8)
    assert torch.equal(FoldedModule(module)(x), module(x))


def test_batch_norms_in_training_mode_are_not_folded():
    module, x = with_statistics(nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))), \
        torch.randn(2, 3, 8, 8)
    folded = FoldedModule(module)
    folded(x)
    mean = module[1].running_mean.clone()
    module.train()
    folded(x)
    assert not torch.equal(mean, module[1].running_mean)
