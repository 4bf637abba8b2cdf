"""What a checkpoint and a model have in common."""
from collections.abc import Mapping
from dataclasses import dataclass, field

from bacl.models.augmenters import FeatureHallucinator
from bacl.models.indicators import LongTermIndicator
from torch import Tensor, nn


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
