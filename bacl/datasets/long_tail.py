"""What long-tailed datasets add to mmdet's."""
import logging
import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from bacl.annotations import ClassTable, read_annotations
from bacl.annotations.audit import Finding, audit_annotations, refuse, summarise
from mmengine.logging import print_log

from .images import check_image, loaded_size

NUM_LISTED_IMAGES = 20  # of those that cannot be read; a wrong folder makes it all of them


class LongTailMixin(ABC):
    """Classes, counts and checks on top of a dataset of mmdet, the host, which makes the samples.

    - Classes are those of the annotation file, in its order, so that any dataset in its format
      works. A label is the position of its category there.
    - :meth:`class_table` returns names, counts and groups of the classes.
    - An annotation file that is missing, empty or of another format, and an image that is missing,
      unreadable or of another size than the annotations say, raise an error that names the file.
    - Annotations that no training can use are refused or counted in the log when they are loaded,
      by the rules of ``bacl/datasets/README.md``.

    A subclass sets the attribute where the host keeps its index of the annotations to
    :func:`index_property`.

    Args:
        skip_unreadable: decode every image once when the dataset is built and leave out, with a
            warning, those that cannot be read. False raises the error when such an image is used.
            In evaluation an image that was left out counts as one without detections.
        **kwargs: of mmdet's dataset. ``metainfo['classes']`` may be left out.

    Raises:
        FileNotFoundError: if the annotation file does not exist.
        ValueError: if it has another format, if a rule refuses its annotations, if
            ``metainfo['classes']`` contradicts it, or if no image is left after filtering.
    """

    METAINFO: dict = {'palette': None}

    # The field of an image record that the host makes the path from.
    image_name_field: str

    def __init__(self, *args, skip_unreadable: bool = False, **kwargs) -> None:
        self.skip_unreadable = skip_unreadable
        super().__init__(*args, **kwargs)

    @abstractmethod
    def check_categories(self, categories: Sequence[dict]) -> None:
        """Raise a ``ValueError`` if the categories are not of the dataset's format."""

    @abstractmethod
    def check_content(self, data: Any) -> None:
        """Raise a ``ValueError`` that names what the content of the annotation file lacks."""

    @abstractmethod
    def image_name(self, image: dict) -> str:
        """Path of an image below the folder of images, as the host makes it of its record."""

    def image_path(self, image: dict) -> str:
        """Path or URL of an image, of its record."""
        return os.path.join(self.data_prefix['img'], self.image_name(image))

    def read_content(self) -> dict:
        """Content of the annotation file, of the dataset's format.

        Raises:
            FileNotFoundError: if the file does not exist.
            ValueError: naming what keeps it from being loaded.
        """
        data = read_annotations(self.ann_file, self.backend_args)
        self.check_content(data)
        return data

    def audit(self, data: dict) -> list[Finding]:
        """What is unusual in the content of the annotation file."""
        return audit_annotations(data, self.image_name_field, training=not self.test_mode)

    def take_classes(self, index) -> None:
        """Take classes and counts from the host's index of the annotations."""
        categories = list(index.cats.values())
        self.check_categories(categories)
        findings = self.audit(index.dataset)
        refuse(findings, self.ann_file)
        print_log(summarise(index.dataset, findings, self.ann_file), logger='current')
        classes = tuple(category['name'] for category in categories)
        expected = self._metainfo.setdefault('classes', classes)
        if tuple(expected) != classes:
            raise ValueError(f"{type(self).__name__}(metainfo=) expects the {len(classes)} classes "
                             f"of {self.ann_file} in their order, got {len(expected)} others. "
                             "Leave 'classes' out.")
        self._class_table = ClassTable.from_categories(
            categories, index.cat_img_map, len(index.imgs), self.ann_file)

    def load_data_list(self) -> list[dict]:
        """The host's samples; a failure is explained by the annotation file, if that is why."""
        try:
            return super().load_data_list()
        except Exception:
            self.read_content()
            raise

    def filter_data(self) -> list[dict]:
        """The host's choice of samples, without unreadable images if they are to be skipped."""
        data_list = super().filter_data()
        if self.skip_unreadable:
            data_list = self._without_unreadable(data_list)
        if not data_list:
            raise ValueError(f'{type(self).__name__}(ann_file=) expects at least one image, got '
                             f'none from {self.ann_file} with filter_cfg={self.filter_cfg} and '
                             f'skip_unreadable={self.skip_unreadable}.')
        return data_list

    def _without_unreadable(self, data_list: list[dict]) -> list[dict]:
        readable, errors = [], []
        for data_info in data_list:
            try:
                check_image(data_info['img_path'], self.backend_args)
                readable.append(data_info)
            except (OSError, ValueError) as error:
                errors.append(f'  {error}')
        if errors:
            more = len(errors) - NUM_LISTED_IMAGES
            listed = errors[:NUM_LISTED_IMAGES] + ([f'  and {more} more'] if more > 0 else [])
            print_log('\n'.join([f'{len(errors)} of {len(data_list)} images of {self.ann_file} '
                                 'are left out:', *listed]),
                      logger='current', level=logging.WARNING)
        return readable

    def prepare_data(self, idx: int) -> dict | None:
        """The host's sample; a failure is explained by the image, if that is why.

        Raises:
            ValueError: if the image has another size than the annotations say. Boxes would lie
                beside their objects.
        """
        data_info = self.get_data_info(idx)
        img_path, size = data_info['img_path'], (data_info['height'], data_info['width'])
        try:
            sample = self.pipeline(data_info)  # may change data_info
        except Exception:
            check_image(img_path, self.backend_args)
            raise
        loaded = loaded_size(sample)
        if loaded not in (None, size):
            raise ValueError(f'Image {img_path} has {loaded[1]} x {loaded[0]} pixels as loaded, '
                             f'but {self.ann_file} says {size[1]} x {size[0]}. '
                             '`python -m bacl.check data CONFIG` finds all such images.')
        return sample

    def class_table(self) -> ClassTable:
        """The classes of the annotation file, also if ``indices`` select a part of it."""
        self.full_init()
        return self.with_groups(self._class_table)

    def with_groups(self, classes: ClassTable) -> ClassTable:
        """Classes in the groups of the dataset: those of the file, if a subclass has no others.

        Args:
            classes: of :func:`bacl.annotations.coco.coco_class_table`.
        """
        return classes


def index_property() -> property:
    """A property for the host's index of the annotations, which takes the classes from it.

    The host has the index only while it loads the annotations, and keeps neither names nor groups
    of the categories. Taking them at the moment when it sets the attribute saves reading a file of
    a gigabyte a second time.
    """

    def get(self):
        return self._index

    def take(self, index) -> None:
        self.take_classes(index)
        self._index = index

    def delete(self) -> None:
        del self._index

    return property(get, take, delete)
