"""Comparison of a checkpoint with a model, by what the modules of the model say."""
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor, nn

# Parts of a RoI head that only training asks.
TRAINING_PARTS = {'loss_cls', 'augmenters'}


@dataclass
class LoadReport:
    """Names of the tensors of a checkpoint and of a model, compared.

    Attributes:
        loaded: in both, of the same shape.
        new: in the model only, state that may start empty, such as that of indicators.
        fresh: layers that start anew in this stage, whatever the checkpoint has of them.
        missing: in the model only, anything else.
        unused: in the checkpoint only.
        misfit: in both with different shapes, as ``name: checkpoint shape, model shape``.
    """

    loaded: list[str] = field(default_factory=list)
    new: list[str] = field(default_factory=list)
    fresh: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)
    misfit: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f'{len(self.loaded)} tensors loaded']
        for name, meaning in (('new', 'start empty (state that training collects)'),
                              ('fresh', 'start anew in this stage'),
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


def names_that_start_empty(model: nn.Module) -> Iterator[str]:
    """Names of state that a checkpoint may lack, as its modules say it.

    A module with ``starts_empty = True`` says it of all its state; with a sequence of names, of
    these buffers, parameters or modules in it.

    Args:
        model: the detector, without wrapper.

    Yields:
        Names as in the state dict.
    """
    for path, module in model.named_modules():
        says = getattr(module, 'starts_empty', ())
        for name in module.state_dict(keep_vars=True) if says else ():
            if says is True or any(f'{name}.'.startswith(f'{part}.') for part in says):
                yield f'{path}.{name}' if path else name


def leave_out_fresh_layers(model: nn.Module, weights: MutableMapping[str, Tensor]) -> list[str]:
    """Remove from a state dict what a model starts anew, as its attribute ``fresh`` says.

    Args:
        model: the detector, without wrapper; ``fresh`` are names of layers in it.
        weights: state dict, changed in place.

    Returns:
        Names of the model's parameters and buffers that start anew.
    """
    layers = set(getattr(model, 'fresh', ()))
    for name in [name for name in weights if layers & set(name.split('.'))]:
        del weights[name]
    return [name for name in model.state_dict() if layers & set(name.split('.'))]


def compare_weights(model: nn.Module, weights: Mapping[str, Tensor],
                    fresh: Sequence[str] = ()) -> LoadReport:
    """Compare a state dict with a model.

    Counters of batches in batch norms (``num_batches_tracked``) may be missing, as in mmengine: old
    checkpoints lack them, and nothing depends on them.

    Args:
        model: the detector, without wrapper.
        weights: state dict; a leading ``module.`` is ignored, as mmengine does.
        fresh: see :func:`leave_out_fresh_layers`.

    Returns:
        What fits, and what does not.
    """
    may_be_new = set(names_that_start_empty(model))
    weights = {key.removeprefix('module.'): value for key, value in weights.items()}
    for name, module in model.named_modules():
        if hasattr(module, 'adapt_weights'):
            module.adapt_weights(weights, f'{name}.' * bool(name))
    state = model.state_dict()
    report = LoadReport(unused=[name for name in weights if name not in state],
                        fresh=list(fresh))
    for name, tensor in state.items():
        if name in report.fresh:
            continue
        if name not in weights:
            if name.endswith('num_batches_tracked'):
                continue
            kind = report.new if name in may_be_new else report.missing
            kind.append(name)
        elif weights[name].shape != tensor.shape:
            report.misfit.append(f'{name}: {tuple(weights[name].shape)} in the checkpoint, '
                                 f'{tuple(tensor.shape)} in the model')
        else:
            report.loaded.append(name)
    return report


def faults_of_predictions(model: nn.Module, report: LoadReport) -> list[str]:
    """Names of tensors without which a model would predict something else than it has learned.

    Of the state that may start empty that is all but buffers in losses and augmenters. What modules
    name in ``training_layers`` may be missing.

    Args:
        model: the detector, without wrapper.
        report: of the checkpoint that it loads.
    """
    parameters = {name for name, _ in model.named_parameters()}
    for_training = tuple(f'{path}.{layer}.' if path else f'{layer}.'
                         for path, module in model.named_modules()
                         for layer in getattr(module, 'training_layers', ()))
    lacking = report.missing + [
        name for name in report.new
        if name in parameters or TRAINING_PARTS.isdisjoint(name.split('.'))]
    return report.misfit + [name for name in lacking if not name.startswith(for_training)]


def refuse_faults(faults: Sequence[str], report: LoadReport, name: str) -> None:
    """Refuse a checkpoint that does not fit.

    Args:
        faults: names of tensors.
        report: of the checkpoint; one of which nothing is loaded is refused, too.
        name: of the checkpoint, for the message.

    Raises:
        ValueError: if there is a fault.
    """
    faults = list(faults) or ([] if report.loaded else ['it has none of its tensors'])
    if faults:
        raise ValueError(
            f'{name} does not fit the model: {shortened(faults)}. It comes from another config or '
            'from a dataset with another number of classes; choose the checkpoint that was trained '
            "with this config's classes and architecture.")
