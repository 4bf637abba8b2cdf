"""Shows held-out images to the losses after every epoch."""
import torch
from mmdet.registry import HOOKS
from mmdet.utils import ConfigType
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.runner import Runner

from ..running.runner_state import unwrapped_model
from .seed_hook import HELD_OUT, SeededSamples, derive_seed


@HOOKS.register_module()
class HeldOutLossHook(Hook):
    """Computes the losses of held-out images after every epoch, in ``eval()`` and without gradient.

    Augmenters see the logits of the sampled RoIs
    (:meth:`~bacl.models.augmenters.FeatureAugmenter.observe`), and
    :class:`~bacl.models.augmenters.FASA` with ``held_out=True`` adapts to them. No weight and no
    other state changes. What augments an image, and what samples its RoIs, depends on the seed of
    the run, the epoch, the image and the rank only, so that a resumed run finds the same losses.

    Args:
        dataloader: config of the data, as a ``train_dataloader``: its images have annotations. All
            ranks need as many batches, as the ``DefaultSampler`` gives them.
    """

    def __init__(self, dataloader: ConfigType) -> None:
        self.dataloader = dataloader

    def before_train(self, runner: Runner) -> None:
        """Build the data."""
        self.seed = runner.seed or 0
        self.loader = runner.build_dataloader(self.dataloader, seed=self.seed)
        self.epoch = torch.zeros((), dtype=torch.int64).share_memory_()
        self.loader.dataset.__getitems__ = SeededSamples(
            self.loader.dataset, self.seed, self.epoch, HELD_OUT)

    @torch.no_grad()
    def after_train_epoch(self, runner: Runner) -> None:
        """Compute the losses of all images."""
        self.epoch.fill_(runner.epoch)
        # Of a sampler that shuffles, which else would go on with its first order.
        if hasattr(self.loader.sampler, 'set_epoch'):
            self.loader.sampler.set_epoch(runner.epoch)
        torch.manual_seed(derive_seed(self.seed, HELD_OUT, runner.epoch, get_rank()))
        model = unwrapped_model(runner)
        model.eval()
        for batch in self.loader:
            with runner.optim_wrapper.optim_context(model):
                model(**model.data_preprocessor(batch, False), mode='loss')
        model.train()
