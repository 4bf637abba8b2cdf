"""Questions of hooks that a runner does not answer itself."""
from mmengine.model import BaseTTAModel, is_model_wrapper
from mmengine.runner import BaseLoop, Runner
from torch import nn


def unwrapped_model(runner: Runner) -> nn.Module:
    """The model inside DDP and the like and inside test-time augmentation.

    These are what mmengine's loader looks inside, too.
    """
    model = runner.model
    while is_model_wrapper(model) or isinstance(model, BaseTTAModel):
        model = model.module
    return model


def is_training(runner: Runner) -> bool:
    """True if the runner trains; mmengine builds the training loop on first use."""
    return isinstance(runner._train_loop, BaseLoop)
