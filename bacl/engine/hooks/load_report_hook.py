"""Says what a checkpoint gave to the model, and refuses one that does not fit."""
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from bacl.models.feature_hallucination import FeatureHallucinator
from bacl.models.indicators import LongTermIndicator
from mmdet.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner
from torch import Tensor, nn

from ..runner_state import is_training, unwrapped_model


@dataclass
class LoadReport:
    """Names of the tensors of a checkpoint and of a model, compared.

    Attributes:
        loaded: in both, of the same shape.
        new: in the model only, state of indicators or hallucinators: starts from its beginning.
        missing: in the model only, anything else.
        unused: in the checkpoint only.
        misfit: in both with different shapes, as ``name: checkpoint shape, model shape``.
    """

    loaded: list[str] = field(default_factory=list)
    new: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)
    misfit: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f'{len(self.loaded)} tensors loaded']
        for name, meaning in (('new', 'start from scratch (state of classifier stage)'),
                              ('missing', 'in the model but not in the checkpoint'),
                              ('unused', 'in the checkpoint but not in the model'),
                              ('misfit', 'of different shape')):
            names = getattr(self, name)
            if names:
                lines.append(f'{len(names)} {meaning}: {shortened(names)}')
        return '; '.join(lines)


def shortened(names: list[str], limit: int = 6) -> str:
    """The first names of a list and the number of the others."""
    rest = len(names) - limit
    return ', '.join(names[:limit]) + (f' and {rest} more' if rest > 0 else '')


def compare_weights(model: nn.Module, weights: Mapping[str, Tensor]) -> LoadReport:
    """Compare a state dict with a model.

    Counters of batches in batch norms (``num_batches_tracked``) may be missing, as in mmengine: old
    checkpoints lack them, and nothing depends on them.

    Args:
        model: the detector, without wrapper.
        weights: state dict; a leading ``module.`` is ignored, as mmengine does.

    Returns:
        What fits, and what does not.
    """
    collected = tuple(name + '.' for name, module in model.named_modules()
                      if isinstance(module, (LongTermIndicator, FeatureHallucinator)))
    weights = {key.removeprefix('module.'): value for key, value in weights.items()}
    state = model.state_dict()
    report = LoadReport(unused=[name for name in weights if name not in state])
    for name, tensor in state.items():
        if name not in weights:
            if name.endswith('num_batches_tracked'):
                continue
            kind = report.new if name.startswith(collected) else report.missing
            kind.append(name)
        elif weights[name].shape != tensor.shape:
            report.misfit.append(f'{name}: {tuple(weights[name].shape)} in the checkpoint, '
                                 f'{tuple(tensor.shape)} in the model')
        else:
            report.loaded.append(name)
    return report


@HOOKS.register_module()
class LoadReportHook(Hook):
    """Reports on every checkpoint that is loaded, before its weights enter the model.

    mmengine loads what fits and goes on. Here a checkpoint is refused if a weight is missing or of
    another shape (such as a classifier of another number of classes) and the model is tested,
    resumed or trained with a frozen extractor; if a run is resumed, the state of indicators and
    hallucinators must be there, too. Otherwise, as when a detector is fine-tuned on other classes,
    tensors of another shape are a warning. A model with a frozen extractor is also not trained
    without a checkpoint.

    Raises:
        ValueError: if the checkpoint does not fit; names the tensors.
        RuntimeError: if a model with a frozen extractor starts without weights.
    """

    def __init__(self) -> None:
        self.has_loaded = False

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Compare, report, refuse."""
        model = unwrapped_model(runner)
        report = compare_weights(model, checkpoint.get('state_dict', checkpoint))
        # Unknown if the runner was told to load a file after it was built.
        name = f'Checkpoint {runner._load_from}' if runner._load_from else 'The checkpoint'
        print_log(f'{name}: {report}.', logger='current',
                  level=logging.WARNING if report.misfit else logging.INFO)
        is_resumed = is_training(runner) and runner._resume
        is_fine_tuned = is_training(runner) and not is_resumed and not getattr(
            model, 'needs_pretrained_extractor', False)
        problems = [] if is_fine_tuned else report.misfit + report.missing
        if is_resumed:
            problems += report.new
        if problems:
            raise ValueError(
                f'{name} does not fit the model: {shortened(problems)}. It comes from '
                'another config or from a dataset with another number of classes; choose the '
                "checkpoint that was trained with this config's classes and architecture.")
        self.has_loaded = True

    def before_train(self, runner: Runner) -> None:
        """A frozen extractor with random weights would train a classifier on noise."""
        model = unwrapped_model(runner)
        if getattr(model, 'needs_pretrained_extractor', False) and not self.has_loaded:
            raise RuntimeError(
                f'{type(model).__name__} freezes its feature extractor and needs the weights of a '
                'representation stage. Pass --stage1-checkpoint PATH to tools/train.py or set '
                'load_from in the config.')
