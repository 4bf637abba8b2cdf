"""Keeps losses that are not finite out of the weights."""
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as torch_dist
from mmdet.registry import HOOKS
from mmengine.dist import all_gather_object, get_rank, is_distributed
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement
from torch import Tensor, nn

from ..running.runner_state import unwrapped_model
from ..running.work_dir import find_checkpoint

NUM_SKIPPED = 'num_skipped_batches'  # in the message hub, hence in the checkpoint


class NonFiniteLossError(RuntimeError):
    """A loss is NaN or infinite."""


@dataclass
class Losses:
    """The knowledge of a rank of the losses of a batch before its step.

    Attributes:
        terms: name and values of every term.
        images: files of the batch.
        is_bad: (), 1 if a term is not finite, on any rank once ``message`` has arrived.
        message: what the ranks tell each other; None on one process.
    """

    terms: dict[str, Tensor]
    images: list[str]
    is_bad: Tensor
    message: torch_dist.Work | None

    def are_finite(self) -> bool:
        """True if the losses of all ranks are finite. The host waits for the device."""
        if self.message is not None:
            self.message.wait()
        return not self.is_bad.item()

    def describe(self) -> tuple[int, str]:
        """The number of terms of this rank that are not finite; the terms and its images."""
        values = {name: term.sum().item() for name, term in self.terms.items()
                  if not term.isfinite().all()}
        listing = ', '.join(f'{name} = {value}' for name, value in values.items())
        images = ', '.join(self.images) or 'unknown'
        return len(values), f'rank {get_rank()}: {listing}; images: {images}'


def read_losses(losses: dict[str, Tensor | list[Tensor]],
                data_samples: Sequence[BaseDataElement]) -> Losses:
    """Read what a training step of a detector of mmdet returned, and ask whether it is finite.

    A collective operation, of one number: every rank calls it. Nothing is waited for.

    Args:
        losses: what it returned. As in mmengine, entries with ``loss`` in their name are losses.
        data_samples: what it was given; they know their ``img_path``.
    """
    terms = {name: torch.cat([part.detach().reshape(-1).float() for part in
                              (value if isinstance(value, list | tuple) else [value])])
             for name, value in losses.items() if 'loss' in name}
    is_bad = (~torch.cat([*terms.values()]).isfinite().all()).float()
    # Beside the backward pass: the answer is asked for when that is done.
    message = torch_dist.all_reduce(is_bad, torch_dist.ReduceOp.MAX, async_op=True) \
        if is_distributed() else None
    images = [getattr(sample, 'img_path', 'unknown') for sample in data_samples]
    return Losses(terms, images, is_bad, message)


@HOOKS.register_module()
class FiniteLossHook(Hook):
    """Stops a run, or leaves a batch out, if a loss term is NaN or infinite on any rank.

    All ranks decide alike, after the backward pass and before the optimizer's step, so that the
    weights never see such a batch. The error names the terms, their values, the iteration, and on
    each rank concerned the files of the batch; the newest checkpoint is from before. Nor is a
    checkpoint written with weights that are not finite, as when a gradient overflows in the last
    step of an epoch.

    A batch that is left out changes neither weights nor the optimizer's state nor buffers
    (indicators, class statistics, batch norms); with gradient accumulation the gradient that was
    accumulated is left out with it. Schedules go on, and the log names neither losses nor gradients
    of the batch. How
    many batches were left out is counted in the checkpoint, so a resumed run goes on counting.

    Cost: a few operations on a handful of numbers a step, and on several ranks one number between
    them while the gradients are computed. mmengine reads every loss for its log after the step;
    here the host waits for the device before it, which without ``clip_grad`` is new (with it,
    mmengine reads the gradient's norm there). With ``max_skipped`` all buffers are copied in every
    step, because a batch changes them before its loss is known.

    Args:
        max_skipped: number of batches that the run may leave out, >= 0, before it stops.

    Raises:
        ValueError: if ``max_skipped`` is negative.
        NonFiniteLossError: while training.
    """

    # Before mmengine's RuntimeInfoHook, which logs the losses.
    priority = 'HIGHEST'

    def __init__(self, max_skipped: int = 0) -> None:
        if max_skipped < 0:
            raise ValueError(f'FiniteLossHook(max_skipped=) expects a number of batches >= 0, got '
                             f'{max_skipped!r}.')
        self.max_skipped = max_skipped
        self._losses: Losses | None = None
        self._buffers: list[Tensor] = []

    def before_train(self, runner: Runner) -> None:
        """Listen to the model and the optimizer; take up the count of a resumed run."""
        self.num_skipped = runner.message_hub.runtime_info.get(NUM_SKIPPED, 0)
        model, optimizer = unwrapped_model(runner), runner.optim_wrapper.optimizer
        self._listeners = [
            model.register_forward_hook(self._after_forward, with_kwargs=True),
            optimizer.register_step_pre_hook(lambda *args: self._leave_out_if_bad(runner)),
        ]

    def after_train(self, runner: Runner) -> None:
        """Listen no more."""
        for listener in self._listeners:
            listener.remove()

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch=None) -> None:
        """Keep the buffers, if a batch may be left out."""
        self._is_left_out = False
        if self.max_skipped:
            self._buffers = [buffer.clone() for buffer in unwrapped_model(runner).buffers()]

    def _after_forward(self, model: nn.Module, args: tuple, kwargs: dict, output: Any) -> None:
        if model.training and isinstance(output, dict):
            self._losses = read_losses(output, kwargs.get('data_samples') or [])

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch=None,
                         outputs: dict[str, Tensor] | None = None) -> None:
        """Look at a batch without a step (accumulation, overflow in float16); log no bad losses."""
        self._leave_out_if_bad(runner)
        if self._is_left_out and outputs is not None:
            outputs.clear()

    @torch.no_grad()
    def _leave_out_if_bad(self, runner: Runner) -> None:
        losses, self._losses = self._losses, None
        if losses is None or losses.are_finite():
            return
        model = unwrapped_model(runner)
        batch = f'iteration {runner.iter + 1} (epoch {runner.epoch + 1})'
        # The worst rank first: through common statistics it may have spoiled losses of the others.
        found = sorted(all_gather_object(losses.describe()), key=lambda terms: -terms[0])
        listing = '; '.join(text for num_terms, text in found if num_terms)
        problem = f'Loss not finite in {batch}, {listing}.'
        broken = name_of_non_finite(model)
        if broken is not None:
            raise NonFiniteLossError(
                f'{problem} The weights were not finite before it ({broken}): a gradient before '
                f'must have overflowed. {_how_to_go_on(runner)}')
        if self.num_skipped >= self.max_skipped:
            raise NonFiniteLossError(
                f'{problem} {_how_to_go_on(runner)} To leave out such batches: --cfg-options '
                f'default_hooks.finite_loss.max_skipped={self.max_skipped + 10}.')
        self.num_skipped += 1
        runner.message_hub.update_info(NUM_SKIPPED, self.num_skipped)
        print_log(f'{problem} The batch is left out, {self.num_skipped} of at most '
                  f'{self.max_skipped}.', logger='current', level=logging.WARNING)
        # Without gradients the optimizer's step changes nothing, not even by weight decay.
        runner.optim_wrapper.zero_grad(set_to_none=True)
        # The optimizer's wrapper has measured them already.
        norms = runner.message_hub.log_scalars.get('train/grad_norm')
        if norms is not None and not math.isfinite(norms.current()):
            values, counts = norms.data
            values[-1] = counts[-1] = 0
        for buffer, before in zip(model.buffers(), self._buffers, strict=True):
            buffer.copy_(before)
        self._is_left_out = True

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Refuse to save weights that are not finite."""
        broken = name_of_non_finite(unwrapped_model(runner))
        if broken is not None:
            raise NonFiniteLossError(
                f'Weights not finite after epoch {runner.epoch + 1} ({broken}): nothing is saved. '
                f'{_how_to_go_on(runner)}')


def name_of_non_finite(model: nn.Module) -> str | None:
    """Name of the first parameter that is not finite; None if all are."""
    return next((name for name, parameter in model.named_parameters()
                 if not parameter.isfinite().all()), None)


def _how_to_go_on(runner: Runner) -> str:
    checkpoint = find_checkpoint(runner.work_dir)
    left = 'There is no checkpoint yet' if checkpoint is None else \
        f'The newest checkpoint is from before: {checkpoint}'
    return (f'{left}. Look at the images and their annotations, lower the learning rate or use '
            'clip_grad.')
