"""A dataset of pairs of a class and an image that shows it."""
from typing import Any

import numpy as np
from mmdet.registry import DATASETS
from mmdet.utils import ConfigType

from .image_labels import image_labels


@DATASETS.register_module()
class ClassImagePairs:
    """Images of another dataset, once for every class in them, each with that class.

    Instances that the dataset ignores, such as crowds, show no class.

    The sample of a pair is that of the image; its data sample has the class as ``sampled_class``.
    Who draws pairs, such as :class:`.EpisodicSampler`, so draws a class and with it an image.

    If the pipeline of the dataset drops an image, the dataset draws another, which may not show
    the class.

    Args:
        dataset: config of the dataset, or the dataset. Its pipeline ends with ``PackDetInputs``.

    Attributes:
        labels: (P,), int64 in [0, C), ascending: the class of each pair.
        images: (P,), int64: number of its image in the dataset, ascending within a class.
        num_images: (C,), int64: number of pairs of each class.
    """

    def __init__(self, dataset: ConfigType | Any) -> None:
        self.dataset = DATASETS.build(dataset) if isinstance(dataset, dict) else dataset
        classes = [sorted(set(labels)) for labels in image_labels(self.dataset)]
        labels = np.array([label for labels in classes for label in labels], dtype=np.int64)
        order = labels.argsort(kind='stable')
        self.labels = labels[order]
        self.images = np.repeat(np.arange(len(classes)), [len(labels) for labels in classes])[order]
        self.num_images = np.bincount(labels, minlength=len(self.metainfo['classes']))

    @property
    def metainfo(self) -> dict:
        """That of the dataset."""
        return self.dataset.metainfo

    def get_data_info(self, index: int) -> dict:
        """That of the image of a pair."""
        return self.dataset.get_data_info(self.images[index].item())

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> dict:
        sample = self.dataset[self.images[index].item()]
        sample['data_samples'].set_metainfo(dict(sampled_class=self.labels[index].item()))
        return sample
