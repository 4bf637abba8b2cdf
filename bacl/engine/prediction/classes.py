"""The classes that a detector predicts: their names, ids and frequency groups."""
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bacl.annotations import ClassTable
from bacl.datasets import CocoLTDataset
from bacl.datasets.long_tail import LongTailMixin
from bacl.visualization.group_styles import GroupStyles
from mmdet.registry import DATASETS
from mmengine.config import Config, ConfigDict
from mmengine.logging import print_log

from ..running.config_types import is_type
from ..running.dataset_configs import unwrapped_datasets


@dataclass(frozen=True)
class PredictedClasses:
    """C classes in label order.

    Attributes:
        names: C.
        category_ids: C, as in the annotations; from 1 if these are not there.
        table: with groups; None if the annotations are not there.
    """

    names: Sequence[str]
    category_ids: Sequence[int]
    table: ClassTable | None = None

    @property
    def styles(self) -> GroupStyles | None:
        """The look of the groups, if they are known."""
        return None if self.table is None else GroupStyles(self.table.groups)

    def groups(self) -> list[str | None]:
        """Key of the group of each class: C."""
        return [None] * len(self.names) if self.table is None else \
            self.table.group_keys().tolist()

    def categories(self) -> list[dict]:
        """Records of the categories for a COCO file; with 'frequency', the words of the group."""
        labels = [None] * len(self.names) if self.table is None else [
            self.table.groups[group].label for group in self.table.group]
        return [dict(id=category_id, name=name) | (dict(frequency=label) if label else {})
                for category_id, name, label in zip(self.category_ids, self.names, labels,
                                                    strict=True)]


def read_classes(cfg: Config, learned: Sequence[str] | None,
                 num_classes: int) -> PredictedClasses:
    """Complete the classes of a checkpoint by the annotations that its config names.

    In LVIS format those of the test will do: they know how often each class was in training. In
    COCO format it takes those of the training.

    Args:
        cfg: of the run.
        learned: names of the classes in the checkpoint, in label order; None if it has none.
        num_classes: C.

    Returns:
        Without ids and groups, which is logged, if the annotations are not there or have other
        classes.
    """
    reason = 'the config has no dataset of this package'
    for config in _datasets(cfg):
        dataset = DATASETS.build(dict(config, lazy_init=True, pipeline=[]))
        try:
            data = dataset.read_content()
            table = dataset.tabulate(data)
        except (OSError, ValueError) as error:
            reason = str(error)
            continue
        if table.names == tuple(learned or table.names) and table.num_classes == num_classes:
            return PredictedClasses(table.names, [c['id'] for c in data['categories']], table)
        reason = f'{dataset.ann_file} has other classes than the checkpoint'
    print_log(f'Frequency groups are not known, boxes are grey, and category ids count from 1: '
              f'{reason}', logger='current', level=logging.WARNING)
    return PredictedClasses(tuple(learned or (f'class {n}' for n in range(1, num_classes + 1))),
                            list(range(1, num_classes + 1)))


def _datasets(cfg: Config) -> Iterator[ConfigDict]:
    for split in ('test', 'train'):
        dataloader = cfg.get(f'{split}_dataloader')
        for config in unwrapped_datasets(dataloader.dataset) if dataloader else ():
            if is_type(config, DATASETS, LongTailMixin, cfg.get('default_scope')) and (
                    split == 'train' or not is_type(config, DATASETS, CocoLTDataset,
                                                    cfg.get('default_scope'))):
                yield config
