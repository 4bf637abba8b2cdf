"""Connects the long-term indicators to the training dataset and to the log."""
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from bacl.annotations import ClassTable
from bacl.models.indicators import ClassFrequency, LongTermIndicator
from mmdet.registry import HOOKS
from mmengine.hooks import EMAHook
from mmengine.runner import Runner

from ..checking.class_checks import check_class_counts, innermost_dataset
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
    for index in range(len(dataset)):
        for instance in dataset.get_data_info(index)['instances']:
            if not instance['ignore_flag']:
                images[instance['bbox_label']].append(index)
    classes = [dict(id=label, name=name) for label, name in enumerate(dataset.metainfo['classes'])]
    return ClassTable.from_categories(classes, images, len(dataset))


def refuse_averaged_buffers(runner: Runner) -> None:
    """Refuse to mix what was collected with what was collected earlier, which is no count of it.

    Raises:
        RuntimeError: if an ``EMAHook`` averages buffers.
    """
    for hook in runner.hooks:
        if isinstance(hook, EMAHook) and hook.ema_cfg.get('update_buffers'):
            raise RuntimeError(
                'EMAHook(update_buffers=) expects False with a long-term indicator, got True: it '
                'would average counts over time. Leave it out: the averaged model then has the '
                "indicators, class statistics and batch norms of the model's last step.")


@HOOKS.register_module()
class LongTermIndicatorHook(ScalarLogHook):
    """Tells the indicators of the dataset before training and logs them during it.

    Static indicators whose config has no counts
    (:class:`~bacl.models.indicators.ClassFrequency`) get those of their ``ann_file`` or else of the
    training dataset: of its ``class_table()``, or if it has none, of the instances in its samples.

    Logged every ``interval`` iterations, as ``indicator/strength_<group>``: the mean strength (of
    the confusion matrix: the mean of its diagonal) of each group of classes, in [0, 1]: r, c and f
    in LVIS, 1 to 4 in COCO-LT. A balanced classifier has equal ones. Of several indicators
    (cascade) each has its number in the name. A dataset without groups gives one mean over all
    classes.

    Args:
        interval: iterations between two entries, > 0.

    Raises:
        ValueError: before training, if dataset, head, loss and indicator differ in their number
            of classes.
        RuntimeError: before training, if the model has no long-term indicator, or if an ``EMAHook``
            averages buffers.
    """

    def before_train(self, runner: Runner) -> None:
        """Find the indicators and the groups; compare the numbers of classes; set the counts."""
        model, dataset = unwrapped_model(runner), runner.train_dataloader.dataset
        check_class_counts(model, dataset)
        self.indicators = [m for m in model.modules() if isinstance(m, LongTermIndicator)]
        if not self.indicators:
            raise RuntimeError("LongTermIndicatorHook needs a long-term indicator in the model. "
                               "Set loss_cls=dict(type='FCBL', ...) in the bbox_head or remove the "
                               'hook.')
        refuse_averaged_buffers(runner)
        dataset = innermost_dataset(dataset)
        table = dataset.class_table() if hasattr(dataset, 'class_table') else None
        self.table = table if table is not None and table.groups else None
        for indicator in self.indicators:
            if not isinstance(indicator, ClassFrequency) or indicator.is_configured:
                continue
            if indicator.ann_file is not None:
                indicator.read_counts()
                continue
            table = table or count_instances(dataset)
            indicator.set_counts(getattr(table, indicator.count_name))

    def scalars(self) -> Iterator[tuple[str, float]]:
        """Names and values of the current log entries."""
        for number, indicator in enumerate(self.indicators):
            prefix = f'indicator{number}' if len(self.indicators) > 1 else 'indicator'
            strength = indicator.strength().cpu().numpy()
            if self.table is None:
                yield f'{prefix}/strength', float(strength.mean())
                continue
            for group, mean in self.table.mean_by_group(strength).items():
                yield f'{prefix}/strength_{group}', mean
