"""Lets the class weights of BALMS learn from a batch in which classes are balanced."""
from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
from bacl.datasets.image_labels import image_labels
from bacl.models.losses.meta_balanced_sigmoid import MetaBalancedSigmoidLoss
from mmdet.registry import HOOKS
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, WeightedRandomSampler

from ..running.runner_state import unwrapped_model
from .seed_hook import META, CountingSampler, derive_seed


def rarest_class_weights(dataset: Dataset) -> Tensor:
    """(number of images,), float64: 1 / number of images with the rarest class of each image.

    Images without objects weigh 0. Ignored objects do not count.
    """
    labels = [set(image) for image in image_labels(dataset)]
    image_count = Counter(label for image in labels for label in image)
    return torch.tensor([1 / min(image_count[label] for label in image) if image else 0
                         for image in labels], dtype=torch.float64)


@torch.no_grad()
def classifier_inputs(model: nn.Module, batch: Any) -> tuple[Tensor, Tensor]:
    """Inputs (N, D) and labels (N,) of the classifier, of RoIs sampled as in a training step.

    Args:
        model: detector in training mode, with one box head.
        batch: of its data loader.
    """
    head, seen = model.roi_head.bbox_head, {}
    handles = [
        head.fc_cls.register_forward_pre_hook(lambda _, args: seen.update(feats=args[0])),
        head.loss_cls.register_forward_pre_hook(lambda _, args: seen.update(labels=args[1]))]
    try:
        model(**model.data_preprocessor(batch, True), mode='loss')
    finally:
        for handle in handles:
            handle.remove()
    return seen['feats'], seen['labels']


@HOOKS.register_module()
class MetaReweightHook(Hook):
    """Before each step, lets a :class:`MetaBalancedSigmoidLoss` learn its class weights.

    It runs the detector on the batch of the step and on a meta batch of as many images, drawn with
    replacement by :func:`rarest_class_weights`, and so takes three times as long as a training
    without. The classifier is to be all that learns, since its inputs count as given.

    Raises:
        TypeError: before training, if the model has no such loss in a single box head with a
            linear classifier, or the optimizer is not SGD without dampening and Nesterov momentum,
            whose step the loss looks ahead to.
    """

    def before_train(self, runner: Runner) -> None:
        """Check model and optimizer; count the classes of the images."""
        head = getattr(unwrapped_model(runner).roi_head, 'bbox_head', None)
        if not (isinstance(getattr(head, 'loss_cls', None), MetaBalancedSigmoidLoss)
                and isinstance(getattr(head, 'fc_cls', None), nn.Linear)):
            raise TypeError('MetaReweightHook expects one box head with a linear classifier and '
                            f'a MetaBalancedSigmoidLoss, got {type(head).__name__}. Use '
                            "loss_cls=dict(type='MetaBalancedSigmoidLoss') in Shared2FCBBoxHead, "
                            'or remove the hook.')
        optimizer = runner.optim_wrapper.optimizer
        if not isinstance(optimizer, torch.optim.SGD) or optimizer.defaults['nesterov'] \
                or optimizer.defaults['dampening']:
            raise TypeError('MetaReweightHook expects SGD without dampening and Nesterov momentum, '
                            f'got {type(optimizer).__name__}.')
        self.weights = rarest_class_weights(runner.train_dataloader.dataset)

    def before_train_epoch(self, runner: Runner) -> None:
        """Draw the meta batches of an epoch, others on each rank."""
        loader, seed = runner.train_dataloader, runner.seed or 0
        batch_size = loader.batch_sampler.batch_size
        generator = torch.Generator().manual_seed(
            derive_seed(seed, META, runner.epoch, get_rank()))
        sampler = CountingSampler(WeightedRandomSampler(
            self.weights, batch_size * len(loader), generator=generator), get_rank())
        self.batches = iter(DataLoader(
            loader.dataset, batch_size, sampler=sampler, num_workers=loader.num_workers,
            collate_fn=loader.collate_fn, worker_init_fn=loader.worker_init_fn))

    def before_train_iter(self, runner: Runner, batch_idx: int,
                          data_batch: dict | Sequence | None = None) -> None:
        """Take a step of the class weights."""
        model, optimizer = unwrapped_model(runner), runner.optim_wrapper.optimizer
        head = model.roi_head.bbox_head
        parameters = [head.fc_cls.weight, head.fc_cls.bias]
        group = next(group for group in optimizer.param_groups
                     if any(p is parameters[0] for p in group['params']))
        momenta = [optimizer.state[p].get('momentum_buffer') for p in parameters]
        momenta = [torch.zeros_like(p) if m is None else m
                   for p, m in zip(parameters, momenta, strict=True)]
        batch, meta_batch = (classifier_inputs(model, data)
                             for data in (data_batch, next(self.batches)))
        head.loss_cls.meta_step(*batch, *meta_batch, parameters, momenta, group['lr'],
                                group['momentum'], group['weight_decay'])
