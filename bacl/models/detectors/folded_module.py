"""Batch norms of a frozen module, folded into the convolutions before them."""
import copy
import logging
from itertools import chain

import torch
from mmcv.cnn import fuse_conv_bn
from mmengine.logging import print_log
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

# Largest departure of a folded module's outputs, of their largest value. Rounding stays below 1e-5.
TOLERANCE = 1e-4

Maps = Tensor | tuple[Tensor, ...]


class FoldedModule:
    """A module that does not learn, computed with its batch norms folded into its convolutions.

    A batch norm in evaluation mode is linear, so that the convolution before it can do its work:
    the outputs are the same but for rounding. The module keeps its parts, weights and state dict;
    what runs is a folded copy, made again whenever a weight or statistic of the module was changed
    or moved. After a change through ``tensor.data`` :meth:`fold_anew` has to be called.

    The module itself runs while there is nothing to fold or a hook watches one of its layers, and
    for good if its outputs, compared on an image of the first batch, are not those of the copy:
    :func:`mmcv.cnn.fuse_conv_bn` takes for granted that a batch norm follows the convolution that
    was registered before it.

    Args:
        module: takes feature maps (N, channels, H, W), one or a tuple, and returns such.
    """

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.is_equal: bool | None = None  # not compared yet
        self._copied: list[tuple[int, int]] | None = None  # state that the copy was made of
        self._copy: nn.Module | None = None

    def fold_anew(self) -> None:
        """Forget the copy: changes through ``tensor.data``, as of an EMAHook, leave no trace."""
        self._copied = None

    def __call__(self, inputs: Maps) -> Maps:
        """The outputs of the module, without gradient."""
        with torch.no_grad():
            if self.is_equal is False or not self._can_fold():
                return self.module(inputs)
            state = [(tensor.data_ptr(), tensor._version) for tensor
                     in chain(self.module.parameters(), self.module.buffers())]
            if state != self._copied:
                self._copy, self._copied = fold(self.module), state
            if self.is_equal is None:
                self.is_equal = self._compare(inputs)
                return self(inputs)
            return self._copy(inputs)

    def _can_fold(self) -> bool:
        modules = list(self.module.modules())
        norms = [module for module in modules if isinstance(module, _BatchNorm)]
        return bool(norms) and all(
            norm.affine and norm.track_running_stats and not norm.training for norm in norms
        ) and not any(module._forward_hooks or module._forward_pre_hooks for module in modules)

    def _compare(self, inputs: Maps) -> bool:
        image = inputs[:1] if isinstance(inputs, Tensor) else tuple(maps[:1] for maps in inputs)
        device_type = next(self.module.parameters()).device.type
        with torch.autocast(device_type, enabled=False):  # whose rounding is coarser
            expected, folded = self.module(image), self._copy(image)
        is_equal = all(
            (ours - theirs).abs().max() <= TOLERANCE * theirs.abs().max()
            for ours, theirs in zip(as_tuple(folded), as_tuple(expected), strict=True))
        if not is_equal:
            print_log(f'Batch norms of {type(self.module).__name__} do not follow the convolutions '
                      'that they were registered behind: it runs without folding them.',
                      logger='current', level=logging.WARNING)
        return is_equal


def fold(module: nn.Module) -> nn.Module:
    """A copy of a module with its batch norms folded, of which nothing learns."""
    return fuse_conv_bn(copy.deepcopy(module)).requires_grad_(False)


def as_tuple(maps: Maps) -> tuple[Tensor, ...]:
    """Feature maps as a tuple."""
    return (maps,) if isinstance(maps, Tensor) else tuple(maps)
