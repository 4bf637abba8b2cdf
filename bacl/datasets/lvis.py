"""LVIS datasets that know their long tail."""
import logging

from bacl.annotations import ClassCounts, count_classes
from bacl.annotations.files import check_categories, check_lvis_annotations
from mmdet.datasets import LVISV05Dataset, LVISV1Dataset
from mmdet.registry import DATASETS
from mmengine.logging import print_log

from .images import check_image

NUM_LISTED_IMAGES = 20  # of those that cannot be read; a wrong folder makes it all of them


class LongTailLVISMixin:
    """What the long-tail datasets add to mmdet's LVIS datasets; samples are the host's.

    - Classes are those of the annotation file, in its order, so that any dataset in LVIS format
      works. A label is the position of its category there.
    - :meth:`class_counts` returns the counts and frequency groups of the classes.
    - An annotation file that is missing, empty or not LVIS, and an image that is missing or
      unreadable, raise an error that names the file.

    Args:
        skip_unreadable: decode every image once when the dataset is built and leave out, with a
            warning, those that cannot be read. False raises the error when such an image is used.
            In evaluation an image that was left out counts as one without detections.
        **kwargs: of mmdet's dataset. ``metainfo['classes']`` may be left out.

    Raises:
        FileNotFoundError: if the annotation file does not exist.
        ValueError: if it is not LVIS, if ``metainfo['classes']`` contradicts it, or if no image
            is left after filtering.
    """

    METAINFO: dict = {'palette': None}

    # The field of an image record that the host makes the path from.
    image_name_field: str

    def __init__(self, *args, skip_unreadable: bool = False, **kwargs) -> None:
        self.skip_unreadable = skip_unreadable
        super().__init__(*args, **kwargs)

    @property
    def lvis(self):
        """The LVIS index; exists only while the host loads the annotations.

        The host keeps neither names nor frequencies of the categories. Taking them at the moment
        when it sets this attribute saves reading a file of a gigabyte a second time.
        """
        return self._lvis

    @lvis.setter
    def lvis(self, index) -> None:
        categories = list(index.cats.values())
        check_categories(categories, self.ann_file)
        classes = tuple(category['name'] for category in categories)
        expected = self._metainfo.setdefault('classes', classes)
        if tuple(expected) != classes:
            raise ValueError(f"{type(self).__name__}(metainfo=) expects the {len(classes)} classes "
                             f"of {self.ann_file} in their order, got {len(expected)} others. "
                             "Leave 'classes' out.")
        self._class_counts = count_classes(categories, index.cat_img_map)
        self._lvis = index

    @lvis.deleter
    def lvis(self) -> None:
        del self._lvis

    def load_data_list(self) -> list[dict]:
        """The host's samples; a failure is explained by the annotation file, if that is why."""
        try:
            return super().load_data_list()
        except Exception:
            check_lvis_annotations(self.ann_file, (self.image_name_field, ), self.backend_args)
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

        See :func:`bacl.annotations.count_classes`; the groups are LVIS's frequencies.
        """
        self.full_init()
        return self._class_counts


@DATASETS.register_module()
class LongTailLVISV05Dataset(LongTailLVISMixin, LVISV05Dataset):
    """LVIS v0.5, or a dataset in its format; see :class:`LongTailLVISMixin`."""

    image_name_field = 'file_name'


@DATASETS.register_module()
class LongTailLVISV1Dataset(LongTailLVISMixin, LVISV1Dataset):
    """LVIS v1, or a dataset in its format; see :class:`LongTailLVISMixin`."""

    image_name_field = 'coco_url'
