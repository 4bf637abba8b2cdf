"""Training with mixed precision on the devices that there are."""
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmdet.registry import OPTIM_WRAPPERS
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.optim import OptimWrapper
from mmengine.runner.amp import autocast
from torch import nn

DTYPES = ('float16', 'bfloat16')


@OPTIM_WRAPPERS.register_module()
class BFloat16OptimWrapper(OptimWrapper):
    """Forward pass in bfloat16 where torch deems it safe, on a CPU or a GPU.

    bfloat16 has the range of float32, so gradients do not vanish and losses need no scaling;
    mmengine's ``AmpOptimWrapper`` scales them and therefore asks for a GPU. Parameters, gradients
    and the optimizer's state stay float32. It has the arguments of ``OptimWrapper``.
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Context of the forward pass."""
        with super().optim_context(model), autocast(dtype=torch.bfloat16):
            yield


def prepare_amp(cfg: Config, dtype: str) -> None:
    """Make a config train with mixed precision.

    Args:
        cfg: config of the run; its ``optim_wrapper`` is changed in place.
        dtype: 'float16', 'bfloat16', or 'auto': float16 on a GPU, bfloat16 on a CPU.

    Raises:
        ValueError: if ``dtype`` is unknown, or float16 is asked for without a GPU.
    """
    has_gpu = get_device() not in ('cpu', 'mps')
    if dtype == 'auto':
        dtype = 'float16' if has_gpu else 'bfloat16'
    if dtype not in DTYPES:
        raise ValueError(f'--amp expects one of {DTYPES}, got {dtype!r}.')
    if dtype == 'bfloat16':
        for scaling in ('loss_scale', 'dtype'):  # of an AmpOptimWrapper in the config
            cfg.optim_wrapper.pop(scaling, None)
        cfg.optim_wrapper.type = 'mmdet.BFloat16OptimWrapper'
    elif has_gpu:
        cfg.optim_wrapper.update(type='AmpOptimWrapper', loss_scale='dynamic', dtype='float16')
    else:
        raise ValueError('--amp float16 expects a GPU, got a machine that trains on its CPU. '
                         'Use --amp bfloat16.')
