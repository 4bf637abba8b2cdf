"""What long-tailed datasets add to mmdet's."""
import logging
from abc import ABC, abstractmethod
from collections.abc import Sequence

from bacl.annotations import ClassCounts, count_classes
from mmengine.logging import print_log

from .images import check_image

NUM_LISTED_IMAGES = 20  # of those that cannot be read; a wrong folder makes it all of them


class LongTailMixin(ABC):
    """Classes, counts and checks on top of a dataset of mmdet, the host, which makes the samples.

    - Classes are those of the annotation file, in its order, so that any dataset in its format
      works. A label is the position of its category there.
    - :meth:`class_counts` returns the counts and groups of the classes.
    - An annotation file that is missing, empty or of another format, and an image that is missing
      or unreadable, raise an error that names the file.

    A subclass sets the attribute where the host keeps its index of the annotations to
    :func:`index_property`.

    Args:
        skip_unreadable: decode every image once when the dataset is built and leave out, with a
            warning, those that cannot be read. False raises the error when such an image is used.
            In evaluation an image that was left out counts as one without detections.
        **kwargs: of mmdet's dataset. ``metainfo['classes']`` may be left out.

    Raises:
        FileNotFoundError: if the annotation file does not exist.
        ValueError: if it has another format, if ``metainfo['classes']`` contradicts it, or if no
            image is left after filtering.
    """

    METAINFO: dict = {'palette': None}

    def __init__(self, *args, skip_unreadable: bool = False, **kwargs) -> None:
        self.skip_unreadable = skip_unreadable
        super().__init__(*args, **kwargs)

    @abstractmethod
    def check_categories(self, categories: Sequence[dict]) -> None:
        """Raise a ``ValueError`` if the categories are not of the dataset's format."""

    @abstractmethod
    def check_annotation_file(self) -> None:
        """Raise an error that names what keeps the annotation file from being loaded, if any."""

    def take_classes(self, index) -> None:
        """Take classes and counts from the host's index of the annotations."""
        categories = list(index.cats.values())
        self.check_categories(categories)
        classes = tuple(category['name'] for category in categories)
        expected = self._metainfo.setdefault('classes', classes)
        if tuple(expected) != classes:
            raise ValueError(f"{type(self).__name__}(metainfo=) expects the {len(classes)} classes "
                             f"of {self.ann_file} in their order, got {len(expected)} others. "
                             "Leave 'classes' out.")
        self._class_counts = count_classes(categories, index.cat_img_map, self.ann_file)

    def load_data_list(self) -> list[dict]:
        """The host's samples; a failure is explained by the annotation file, if that is why."""
        try:
            return super().load_data_list()
        except Exception:
            self.check_annotation_file()
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
        """The host's sample; a failure is explained by the image, if that is why."""
        try:
            return super().prepare_data(idx)
        except Exception:
            check_image(self.get_data_info(idx)['img_path'], self.backend_args)
            raise

    def class_counts(self) -> ClassCounts:
        """Counts of the classes of the annotation file, also if ``indices`` select a part of it.

        See :func:`bacl.annotations.count_classes`.
        """
        self.full_init()
        return self._class_counts


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
