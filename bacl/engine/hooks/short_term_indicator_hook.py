"""Starts re-weighting and hallucination at their epochs."""
import logging

from mmdet.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import EpochBasedTrainLoop, Runner

from ..running.runner_state import unwrapped_model
from .method_hook import modules_with


@HOOKS.register_module()
class ShortTermIndicatorHook(Hook):
    """Start epochs of the loss weights (Eq. 9) and of the hallucinated samples (Eq. 13).

    What has a switch ``reweighting``, such as FCBL, or ``hallucinating``, such as the
    FeatureHallucinator, is switched before every epoch, by the runner's epoch, so a resumed run is
    where the interrupted one was. Indicators and class statistics are collected from the first
    step, whatever the start epochs.

    Args:
        reweight_start: first epoch, counted from 0, with loss weights.
        hallucination_start: first epoch, counted from 0, with hallucinated samples.
        interval: of configs from when this hook logged; told and not used. Give it to the
            LongTermIndicatorHook, which logs for all modules.

    Raises:
        ValueError: if a start epoch is negative.
        RuntimeError: before training, if a start epoch is set and the model has nothing to start,
            or the training loop does not count epochs.
    """

    def __init__(self, reweight_start: int = 0, hallucination_start: int = 0,
                 interval: int | None = None) -> None:
        if interval is not None:
            print_log(f'ShortTermIndicatorHook(interval={interval}) is not used: it logs nothing. '
                      f'Set LongTermIndicatorHook(interval={interval}).', logger='current',
                      level=logging.WARNING)
        self.starts = dict(reweighting=reweight_start, hallucinating=hallucination_start)
        for name, value in (('reweight_start', reweight_start),
                            ('hallucination_start', hallucination_start)):
            if value < 0:
                raise ValueError(f'ShortTermIndicatorHook({name}=) expects an epoch >= 0, '
                                 f'got {value}.')

    def before_train(self, runner: Runner) -> None:
        """Find the switches; see that their start epochs will come."""
        self.model = unwrapped_model(runner)
        late = {switch: start for switch, start in self.starts.items() if start}
        if late and not isinstance(runner.train_loop, EpochBasedTrainLoop):
            raise RuntimeError(
                f'ShortTermIndicatorHook({self._arguments()}) expects an EpochBasedTrainLoop, got '
                f'{type(runner.train_loop).__name__}, which stays in epoch 0. Set both to 0 or '
                'train by epochs.')
        present = [switch for switch in self.starts if modules_with(self.model, switch)]
        if not present or not set(late) <= set(present):
            raise RuntimeError(
                f'ShortTermIndicatorHook({self._arguments()}) needs modules with the switches '
                f'{" and ".join(late or self.starts)}, the model has those of '
                f"{' and '.join(present) or 'neither'}: loss_cls=dict(type='FCBL', ...) has the "
                'first, the hallucinator of an FHMRoIHead the second. Add it or remove the hook.')

    def _arguments(self) -> str:
        return (f'reweight_start={self.starts["reweighting"]}, '
                f'hallucination_start={self.starts["hallucinating"]}')

    def before_train_epoch(self, runner: Runner) -> None:
        """Set the switches for this epoch."""
        for switch, start in self.starts.items():
            for module in modules_with(self.model, switch):
                setattr(module, switch, runner.epoch >= start)
