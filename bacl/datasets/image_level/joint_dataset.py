"""Detection data together with data without boxes."""
from collections.abc import Sequence
from typing import Any

from bacl.annotations import ClassTable
from mmdet.datasets import ConcatDataset
from mmdet.registry import DATASETS
from mmdet.utils import ConfigType


@DATASETS.register_module()
class JointDataset(ConcatDataset):
    """Detection data and, behind them, others such as :class:`.ImageLevelDataset`.

    Its classes, with their counts and groups, are those of the detection data alone: images
    without boxes do not make a class frequent. :class:`.JointSampler` draws from it.

    Args:
        datasets: configs; the first is of detection data that know their classes, the others have
            the same classes in the same order. All may be inside wrappers.

    Raises:
        TypeError: if the first dataset has no ``class_table()``.
        ValueError: if another has other classes; when a sample is loaded, if an image without
            boxes does not say its source, by which a detector knows it.
    """

    def __init__(self, datasets: Sequence[ConfigType]) -> None:
        super().__init__(datasets)
        if not hasattr(self._detection_data(), 'class_table'):
            raise TypeError(
                'JointDataset(datasets=) expects detection data with a class_table() as the first, '
                f'such as LongTailLVISV1Dataset, got {type(self._detection_data()).__name__}.')
        classes, *others = (dataset.metainfo.get('classes') for dataset in self.datasets)
        for other in others:
            if tuple(other or ()) != tuple(classes):
                raise ValueError(
                    f'JointDataset(datasets=) expects datasets with the {len(classes)} classes of '
                    f'the first in its order, got one with {len(other or ())} others. Set '
                    'class_file of the ImageLevelDataset to the annotation file of the first.')
        # mmdet makes a list of it where anything else differs.
        self._metainfo = self.datasets[0].metainfo

    def _detection_data(self) -> Any:
        return _innermost_with('class_table', self.datasets[0])

    def __getitem__(self, index: int) -> dict:
        """A sample; see the class."""
        data = super().__getitem__(index)
        dataset, _ = self._get_ori_dataset_idx(index)
        dataset = _innermost_with('source', self.datasets[dataset])
        sample = data.get('data_samples')
        if hasattr(dataset, 'source') and sample is not None and sample.get('source') is None:
            raise ValueError(
                f"{type(dataset).__name__}(pipeline=) expects samples with their 'source', got "
                f"{sample.get('img_path')} without. Add it to the meta_keys of PackDetInputs: its "
                'coarse box would count as an object.')
        return data

    def class_table(self) -> ClassTable:
        """The classes of the detection data."""
        return self._detection_data().class_table()


def _innermost_with(attribute: str, dataset: Any) -> Any:
    """A dataset inside wrappers that has an attribute, or the innermost of all."""
    while not hasattr(dataset, attribute) and hasattr(dataset, 'dataset'):
        dataset = dataset.dataset
    return dataset
