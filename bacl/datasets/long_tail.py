"""The base of long-tailed datasets: what they add to mmdet's."""
import logging
import os
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from bacl.annotations import ClassTable, read_annotations
from bacl.annotations.audit import check_annotations, check_form
from bacl.annotations.coco import coco_class_table
from bacl.annotations.use import Use
from mmengine.logging import print_log

from .images import check_image, image_fault, loaded_size
from .transforms.drop_empty_gt import DropEmptyGT

NUM_LISTED_IMAGES = 20  # of those that cannot be read; a wrong folder makes it all of them


class LongTailMixin(ABC):
    """Classes, counts and checks on top of a dataset of mmdet, the host, which makes the samples.

    - Classes are those of the annotation file, in its order, so that any dataset in its format
      works. A label is the position of its category there.
    - :meth:`class_table` returns names, counts and groups of the classes.
    - An annotation file that is missing, empty or of another format, and an image that is missing,
      unreadable or of another size than the annotations say, raise an error that names the file.
    - Annotations that cannot be used are refused when they are loaded, by the rules of
      ``bacl/datasets/README.md``. What training will not see is summed up in the log.

    Annotation files and images are read by any of mmengine's file backends, by URL, too.

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

    # Makes a Use of some of its arguments: what a file of the dataset's format has to have.
    make_use: Callable[..., Use]

    def __init__(self, *args, skip_unreadable: bool = False, **kwargs) -> None:
        self.skip_unreadable = skip_unreadable
        super().__init__(*args, **kwargs)

    @abstractmethod
    def image_name(self, image: dict) -> str:
        """Path of an image below the folder of images, as the host makes it of its record."""

    def image_path(self, image: dict) -> str:
        """Path or URL of an image, of its record."""
        name = self.image_name(image)
        return name if '://' in name else os.path.join(self.data_prefix['img'], name)

    def use(self, purpose: str | None = None, masks: bool = False) -> Use:
        """The needs of a dataset that reads its annotation file.

        Args:
            purpose: of :class:`bacl.annotations.use.Use`; None is 'training', or with ``test_mode``
                'prediction'.
            masks: whether masks are used for something else than the pipeline, too.
        """
        filter_cfg = self.filter_cfg or {}
        transforms = list(_all_transforms(self.pipeline.transforms))
        return type(self).make_use(
            name_field=self.image_name_field,
            purpose=purpose or ('prediction' if self.test_mode else 'training'),
            masks=masks or any(getattr(transform, 'with_mask', False) for transform in transforms),
            min_size=filter_cfg.get('min_size', 0),
            filters_empty=filter_cfg.get('filter_empty_gt', False),
            drops_empty=any(isinstance(transform, DropEmptyGT) for transform in transforms))

    def read_content(self, use: Use | None = None) -> dict:
        """Content of the annotation file, of the dataset's format; no rule is applied.

        Args:
            use: what it has to have; None is :meth:`use`.

        Raises:
            FileNotFoundError: if the file does not exist.
            ValueError: naming what keeps it from being loaded.
        """
        data = read_annotations(self.ann_file, self.backend_args)
        check_form(data, self.ann_file, use or self.use())
        return data

    def load_data_list(self) -> list[dict]:
        """The host's samples of what the annotation file lists, in its order."""
        data = read_annotations(self.ann_file, self.backend_args)
        audit = check_annotations(data, self.ann_file, self.use())
        print_log(audit.summary(data, self.ann_file), logger='current')
        categories = data['categories']
        self._class_table = self.tabulate(data)
        annotations_of, images_of = defaultdict(list), defaultdict(list)
        for annotation in data.get('annotations', []):
            annotations_of[annotation['image_id']].append(annotation)
            images_of[annotation['category_id']].append(annotation['image_id'])
        # The host's filter and its parsing of annotations need these.
        self.cat_ids = [category['id'] for category in categories]
        self.cat2label = {category_id: label for label, category_id in enumerate(self.cat_ids)}
        self.cat_img_map = images_of
        return [self.parse_data_info({'raw_img_info': {**image, 'img_id': image['id']},
                                      'raw_ann_info': annotations_of[image['id']]})
                for image in data['images']]

    def parse_data_info(self, raw_data_info: dict) -> dict:
        """The host's sample of the records of an image, with the path of :meth:`image_path`."""
        image = raw_data_info['raw_img_info']
        data_info = super().parse_data_info(
            {**raw_data_info, 'raw_img_info': {**image, 'file_name': self.image_name(image)}})
        data_info['img_path'] = self.image_path(image)
        return data_info

    def tabulate(self, data: dict) -> ClassTable:
        """The classes of the content of the annotation file.

        Args:
            data: what no rule refuses.

        Raises:
            ValueError: if ``metainfo['classes']``, or counts or groups in the file, contradict it.
        """
        classes = coco_class_table(data, self.ann_file)
        expected = self._metainfo.setdefault('classes', classes.names)
        if tuple(expected) != classes.names:
            raise ValueError(f'{type(self).__name__}(metainfo=) expects the {classes.num_classes} '
                             f'classes of {self.ann_file} in their order, got {len(expected)} '
                             "others. Leave 'classes' out.")
        return self.with_groups(classes)

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
        except Exception as error:
            fault = image_fault(img_path, self.backend_args)
            if fault is None:
                raise
            raise fault from error
        loaded = loaded_size(sample)
        if loaded not in (None, size):
            raise ValueError(f'Image {img_path} has {loaded[1]} x {loaded[0]} pixels as loaded, '
                             f'but {self.ann_file} says {size[1]} x {size[0]}. '
                             '`python -m bacl.check data CONFIG` finds all such images.')
        return sample

    def class_table(self) -> ClassTable:
        """The classes of the annotation file, also if ``indices`` select a part of it."""
        self.full_init()
        return self._class_table

    def with_groups(self, classes: ClassTable) -> ClassTable:
        """Classes in the groups of the dataset: those of the file, if a subclass has no others.

        Args:
            classes: of :func:`bacl.annotations.coco.coco_class_table`.
        """
        return classes


def _all_transforms(transforms: Iterable[Any]) -> Iterator[Any]:
    """Transforms, and those inside of wrappers such as ``RandomApply`` and ``RandomChoice``."""
    for transform in transforms:
        if isinstance(transform, list | tuple):
            yield from _all_transforms(transform)
        else:
            yield transform
            inner = getattr(transform, 'transforms', ())
            yield from _all_transforms(inner if isinstance(inner, list | tuple) else
                                       getattr(inner, 'transforms', ()))
