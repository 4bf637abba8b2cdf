"""Asks the modules of a model what they want of a training, and gives it to them."""
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

import torch
from bacl.annotations import ClassTable
from bacl.datasets.image_labels import image_labels
from mmdet.registry import HOOKS
from mmengine.hooks import EMAHook
from mmengine.runner import Runner
from torch import Tensor, nn

from ..checking.class_checks import check_class_counts, innermost_dataset
from ..checking.image_level_checks import check_image_level_data
from ..running.runner_state import unwrapped_model
from .scalar_log_hook import ScalarLogHook


def count_instances(dataset: Any) -> ClassTable:
    """Tabulate the classes of a dataset by the instances of its samples.

    Args:
        dataset: detection dataset of mmdet, without wrappers. Images that it leaves out, and
            instances that it ignores, such as crowds, do not count.

    Returns:
        The classes, without groups.
    """
    images = defaultdict(list)
    for index, labels in enumerate(image_labels(dataset)):
        for label in labels:
            images[label].append(index)
    classes = [dict(id=label, name=name) for label, name in enumerate(dataset.metainfo['classes'])]
    return ClassTable.from_categories(classes, images, len(dataset))


def training_class_table(dataset: Any) -> ClassTable:
    """The classes of a training dataset: its ``class_table()``, or else counted.

    Args:
        dataset: possibly inside wrappers.

    Raises:
        ValueError: if it does not know its classes or instances.
    """
    dataset = innermost_dataset(dataset)
    if hasattr(dataset, 'class_table'):
        return dataset.class_table()
    if not (getattr(dataset, 'metainfo', {}).get('classes') and hasattr(dataset, 'get_data_info')):
        raise ValueError(
            f'{type(dataset).__name__} does not know its classes and instances, of which the model '
            'needs the counts. Use a detection dataset of mmdet with class names, or one with a '
            'class_table() as those of this package.')
    return count_instances(dataset)


def modules_with(model: nn.Module, name: str) -> list[nn.Module]:
    """The modules of a model that have an attribute."""
    return [module for module in model.modules() if hasattr(module, name)]


def refuse_averaged_buffers(runner: Runner, model: nn.Module) -> None:
    """Refuse EMA of buffers in which a model collects what training shows.

    Raises:
        RuntimeError: if there are such buffers, and an ``EMAHook`` averages them.
    """
    # Text embeddings do not change, nor does their average.
    collected = [type(module).__name__ for module in modules_with(model, 'starts_empty')
                 if next(module.buffers(), None) is not None
                 and not hasattr(module, 'set_text_embeddings')]
    for hook in runner.hooks:
        if collected and isinstance(hook, EMAHook) and hook.ema_cfg.get('update_buffers'):
            raise RuntimeError(
                f'EMAHook(update_buffers=) expects False with {", ".join(dict.fromkeys(collected))}'
                ', got True: it would average counts over time. Leave it out: the averaged model '
                "then has the collected state and batch norms of the model's last step.")


@HOOKS.register_module()
class MethodHook(ScalarLogHook):
    """Gives the modules of a model what they ask for, whatever their type.

    A module asks by having a method:

    - ``set_class_counts(table)``: before training it gets the
      :class:`~bacl.annotations.ClassTable` of the training dataset: its ``class_table()``, or, if
      it has none, a table counted by the instances in its samples. A test needs no counts: what a
      module took from them is in the checkpoint.
    - ``start_epoch(epoch)``: before every epoch it gets its number, from 0, also in a resumed run.
    - ``scalars()``: every ``interval`` iterations it gives numbers for the log, by their names. Of
      one number for each class, (C,), the mean over each frequency group is logged, as
      ``indicator/strength_r``, or over all classes where the dataset knows no groups. If several
      modules give the same name, as in a cascade, the part before the slash gets their number:
      ``indicator1/strength_r``.

    It is one of this package's default hooks. Where a run has several, as with a
    :class:`.long_term_indicator_hook.LongTermIndicatorHook` besides, the last of them asks.

    Args:
        interval: iterations between two log entries, > 0.

    Raises:
        ValueError: before training, if dataset and model differ in their number of classes, if a
            module asks for counts of a dataset that does not know its classes, or if the model
            cannot use images without boxes that the dataset has.
        RuntimeError: before training, if an ``EMAHook`` averages collected state.
    """

    def before_train(self, runner: Runner) -> None:
        """Compare model and dataset; hand out the counts."""
        self.model, dataset = unwrapped_model(runner), runner.train_dataloader.dataset
        check_class_counts(self.model, dataset)
        check_image_level_data(self.model, dataset)
        refuse_averaged_buffers(runner, self.model)
        others = [hook for hook in runner.hooks if isinstance(hook, MethodHook)]
        self.asks = not others or others[-1] is self
        asking = modules_with(self.model, 'set_class_counts') if self.asks else []
        knows_table = hasattr(innermost_dataset(dataset), 'class_table')
        self.table = training_class_table(dataset) if asking or knows_table else None
        for module in asking:
            module.set_class_counts(self.table)

    def before_train_epoch(self, runner: Runner) -> None:
        """Tell the epoch."""
        for module in modules_with(self.model, 'start_epoch') if self.asks else []:
            module.start_epoch(runner.epoch)

    def scalars(self) -> Iterator[tuple[str, float]]:
        """Names and values of the current log entries."""
        # Some modules count anew once they are asked.
        entries = [module.scalars() for module in modules_with(self.model, 'scalars')
                   if self.asks]
        number_of = Counter(name for entry in entries for name in entry)
        seen = Counter()
        for entry in entries:
            for name, value in entry.items():
                prefix, slash, rest = name.partition('/')
                number = str(seen[name]) if number_of[name] > 1 else ''
                seen[name] += 1
                yield from self._means(f'{prefix}{number}{slash}{rest}', value)

    def _means(self, name: str, value: float | Tensor) -> Iterator[tuple[str, float]]:
        """A number under its name; of one for each class the mean over each group."""
        value = torch.as_tensor(value)
        if value.dim() and self.table is not None and value.shape != (self.table.num_classes,):
            raise ValueError(f'scalars() expects a number, or one for each of the '
                             f'{self.table.num_classes} classes, as {name!r}, got the shape '
                             f'{tuple(value.shape)}.')
        if value.dim() == 0 or self.table is None or not self.table.groups:
            yield name, value.double().mean().item()
            return
        for group, mean in self.table.mean_by_group(value.cpu().numpy()).items():
            yield f'{name}_{group}', mean
