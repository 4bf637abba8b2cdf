"""Shows held-out images to the losses after every epoch."""
import torch
from mmdet.registry import HOOKS
from mmdet.utils import ConfigType
from mmengine.hooks import Hook
from mmengine.runner import Runner

from ..running.runner_state import unwrapped_model


@HOOKS.register_module()
class HeldOutLossHook(Hook):
    """Computes the losses of held-out images after every epoch, in ``eval()`` and without gradient.

    Augmenters see the logits of the sampled RoIs
    (:meth:`~bacl.models.augmenters.FeatureAugmenter.observe`), and
    :class:`~bacl.models.augmenters.FASA` with ``held_out=True`` adapts to them. No weight and no
    other state changes.

    Args:
        dataloader: config of the data, as a ``train_dataloader``: its images have annotations. All
            ranks need as many batches, as the ``DefaultSampler`` gives them.
    """

    def __init__(self, dataloader: ConfigType) -> None:
        self.dataloader = dataloader

    def before_train(self, runner: Runner) -> None:
        """Build the data."""
        self.loader = runner.build_dataloader(self.dataloader, seed=runner.seed)

    @torch.no_grad()
    def after_train_epoch(self, runner: Runner) -> None:
        """Compute the losses of all images."""
        model = unwrapped_model(runner)
        model.eval()
        for batch in self.loader:
            with runner.optim_wrapper.optim_context(model):
                model(**model.data_preprocessor(batch, False), mode='loss')
        model.train()
