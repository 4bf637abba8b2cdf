"""The objects of an annotation file as arrays."""
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from os import PathLike

import numpy as np
from bacl.annotations import ClassTable
from bacl.annotations.coco import check_coco_content

__all__ = ['ObjectTable']


@dataclass(frozen=True)
class ObjectTable:
    """M annotated objects of C classes in I images.

    Attributes:
        classes: C, by rising category id, which is the order of ``label``; with groups.
        image_ids: (I,), as in the file and in its order.
        image_sizes: (I, 2), int64, width and height in pixels.
        image: (M,), int64 in [0, I), position of the object's image.
        label: (M,), int64 in [0, C), position of its class.
        box: (M, 4), float64, x, y, width and height in pixels.
    """

    classes: ClassTable
    image_ids: np.ndarray
    image_sizes: np.ndarray
    image: np.ndarray
    label: np.ndarray
    box: np.ndarray

    @property
    def num_classes(self) -> int:
        """C."""
        return self.classes.num_classes

    @property
    def num_images(self) -> int:
        """I."""
        return len(self.image_ids)

    @classmethod
    def from_annotations(cls, data: dict, classes: ClassTable,
                         ann_file: str | PathLike | None = None) -> 'ObjectTable':
        """Convert the content of an annotation file in LVIS or COCO format.

        Every annotation is an object, crowds included, as in the class counts of the datasets.

        Args:
            data: what :func:`~bacl.evaluation.load_lvis_annotations` or
                :func:`~bacl.evaluation.load_coco_annotations` returns. Not changed.
            classes: by rising category id.
            ann_file: where it comes from, for messages.

        Raises:
            ValueError: if a rule of :mod:`bacl.annotations.rules` refuses the file, or ``classes``
                are not its own.
        """
        check_coco_content(data, ann_file, ('width', 'height'), ('bbox', ))
        annotations, images = data['annotations'], data['images']
        categories = sorted(data['categories'], key=lambda category: category['id'])
        if classes.names != tuple(str(category['name']) for category in categories):
            raise ValueError(f'ObjectTable.from_annotations(classes=) expects the '
                             f'{len(categories)} classes of {ann_file}, got '
                             f'{classes.num_classes} others. Give two parts of one dataset.')
        return cls(
            classes=classes,
            image_ids=np.array([image['id'] for image in images]),
            image_sizes=np.array([(image['width'], image['height']) for image in images],
                                 dtype=np.int64).reshape(-1, 2),
            image=_positions(images, (annotation['image_id'] for annotation in annotations)),
            label=_positions(categories, (annotation['category_id'] for annotation in annotations)),
            box=np.array([annotation['bbox'] for annotation in annotations],
                         dtype=np.float64).reshape(-1, 4))


def _positions(records: Sequence[dict], ids: Iterable[int]) -> np.ndarray:
    """(M,), of the record that each of M ids is of."""
    position = {record['id']: index for index, record in enumerate(records)}
    return np.array([position[i] for i in ids], dtype=np.int64)
