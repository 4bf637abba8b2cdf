"""What hooks ask a runner that it does not say itself."""
from mmengine.model import is_model_wrapper
from mmengine.runner import BaseLoop, Runner
from torch import nn


def unwrapped_model(runner: Runner) -> nn.Module:
    """The model inside a DDP or similar wrapper."""
    return runner.model.module if is_model_wrapper(runner.model) else runner.model


def is_training(runner: Runner) -> bool:
    """Whether the runner trains; mmengine builds the training loop on first use."""
    return isinstance(runner._train_loop, BaseLoop)
