"""Starts re-weighting and hallucination at their epochs and logs what they do."""
from collections.abc import Iterator

from bacl.models.losses import FCBL
from bacl.models.roi_heads import FeatureHallucinationMixin
from mmdet.registry import HOOKS
from mmengine.runner import EpochBasedTrainLoop, Runner

from ..running.runner_state import unwrapped_model
from .scalar_log_hook import ScalarLogHook


@HOOKS.register_module()
class ShortTermIndicatorHook(ScalarLogHook):
    """Start epochs of the loss weights (Eq. 9) and of the hallucinated samples (Eq. 13).

    The switches are set from the runner's epoch before every epoch, so a resumed run is where
    the interrupted one was. Indicators and class statistics are collected from the first step,
    whatever the start epochs.

    Logged every ``interval`` iterations: ``fcbl/active_negatives``, the share in [0, 1] of the
    negatives of foreground samples that the weights let count (mean over the interval, this
    rank), and ``fhm/known_classes``, the number of classes with feature statistics.

    Args:
        reweight_start: first epoch, counted from 0, with loss weights.
        hallucination_start: first epoch, counted from 0, with hallucinated samples.
        interval: iterations between two log entries, > 0.

    Raises:
        ValueError: if a start epoch is negative.
        RuntimeError: before training, if the model has no FCBL, or if a start epoch is set and the
            training loop does not count epochs.
    """

    def __init__(self, reweight_start: int = 0, hallucination_start: int = 0,
                 interval: int = 50) -> None:
        super().__init__(interval)
        for name, value in (('reweight_start', reweight_start),
                            ('hallucination_start', hallucination_start)):
            if value < 0:
                raise ValueError(f'ShortTermIndicatorHook({name}=) expects an epoch >= 0, '
                                 f'got {value}.')
        self.reweight_start = reweight_start
        self.hallucination_start = hallucination_start

    def before_train(self, runner: Runner) -> None:
        """Find the losses and the RoI heads; see that their start epochs will come."""
        last_start = max(self.reweight_start, self.hallucination_start)
        if last_start and not isinstance(runner.train_loop, EpochBasedTrainLoop):
            raise RuntimeError(
                f'ShortTermIndicatorHook(reweight_start={self.reweight_start}, '
                f'hallucination_start={self.hallucination_start}) expects an EpochBasedTrainLoop, '
                f'got {type(runner.train_loop).__name__}, which stays in epoch 0. Set both to 0 or '
                'train by epochs.')
        modules = list(unwrapped_model(runner).modules())
        self.losses = [m for m in modules if isinstance(m, FCBL)]
        self.roi_heads = [m for m in modules if isinstance(m, FeatureHallucinationMixin)]
        if not self.losses:
            raise RuntimeError("ShortTermIndicatorHook needs an FCBL in the model. Set "
                               "loss_cls=dict(type='FCBL', ...) in the bbox_head or remove the "
                               'hook.')

    def before_train_epoch(self, runner: Runner) -> None:
        """Set the switches for this epoch."""
        for loss in self.losses:
            loss.reweighting = runner.epoch >= self.reweight_start
        for roi_head in self.roi_heads:
            roi_head.hallucinating = runner.epoch >= self.hallucination_start

    def scalars(self) -> Iterator[tuple[str, float]]:
        """Names and values of the current log entries."""
        for number, loss in enumerate(self.losses):
            prefix = f'fcbl{number}' if len(self.losses) > 1 else 'fcbl'
            yield f'{prefix}/active_negatives', loss.pop_active_share()
        hallucinators = [h for roi_head in self.roi_heads for h in roi_head.hallucinators]
        for number, hallucinator in enumerate(hallucinators):
            prefix = f'fhm{number}' if len(hallucinators) > 1 else 'fhm'
            yield f'{prefix}/known_classes', hallucinator.distribution.is_known.sum().item()
