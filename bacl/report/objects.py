"""The objects of an annotation file as arrays."""
from collections.abc import Sequence
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
            ValueError: if the file is not in COCO format, a box is not four finite numbers, an
                image has no area, or ``classes`` are not those of the file.
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
            image_sizes=_image_sizes(images, ann_file),
            image=_positions(annotations, 'image_id', images, ann_file),
            label=_positions(annotations, 'category_id', categories, ann_file),
            box=_boxes(annotations, ann_file))


def _image_sizes(images: Sequence[dict], ann_file: str | PathLike | None) -> np.ndarray:
    sizes = np.array([(image['width'], image['height']) for image in images],
                     dtype=np.int64).reshape(-1, 2)
    for position in np.flatnonzero((sizes <= 0).any(1))[:1]:
        width, height = sizes[position]
        raise ValueError(f'Image {images[position]["id"]} of {ann_file} has {width} x {height} '
                         'pixels. Correct its width and height.')
    return sizes


def _positions(annotations: Sequence[dict], field: str, records: Sequence[dict],
               ann_file: str | PathLike | None) -> np.ndarray:
    """(M,), of the record that each annotation refers to by its id."""
    position = {record['id']: index for index, record in enumerate(records)}
    positions = np.array([position.get(annotation[field], -1) for annotation in annotations],
                         dtype=np.int64)
    for index in np.flatnonzero(positions < 0)[:1]:
        annotation = annotations[index]
        raise ValueError(
            f'Annotation {annotation.get("id", f"number {index}")} of {ann_file} has the {field!r} '
            f'{annotation[field]!r}, which the file does not list. Build or download it again.')
    return positions


def _boxes(annotations: Sequence[dict], ann_file: str | PathLike | None) -> np.ndarray:
    """(M, 4)."""
    try:
        boxes = np.array([annotation['bbox'] for annotation in annotations],
                         dtype=np.float64).reshape(len(annotations), 4)
        is_bad = ~np.isfinite(boxes).all(1)
    except (TypeError, ValueError):  # of different lengths, or no numbers
        is_bad = np.array([not _is_box(annotation['bbox']) for annotation in annotations])
    for index in np.flatnonzero(is_bad)[:1]:
        annotation = annotations[index]
        raise ValueError(
            f'Annotation {annotation.get("id", f"number {index}")} of {ann_file} has the bbox '
            f'{annotation["bbox"]!r}. Four finite numbers are expected: x, y, width, height.')
    return boxes


def _is_box(bbox: object) -> bool:
    return isinstance(bbox, list | tuple) and len(bbox) == 4 and all(
        isinstance(number, int | float) and np.isfinite(number) for number in bbox)
