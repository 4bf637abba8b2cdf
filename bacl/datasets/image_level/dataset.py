"""The dataset of image-level supervision."""
import os

from bacl.annotations import read_class_table
from mmdet.datasets import BaseDetDataset
from mmdet.registry import DATASETS
from mmengine.logging import print_log
from mmengine.utils import is_abs

from ..images import image_fault
from .records import ImageLevelRecord, Reading, audit_records, read_records

UNLABELLED = -1


@DATASETS.register_module()
class ImageLevelDataset(BaseDetDataset):
    """Images with at most one class each and no boxes, in the classes of detection data.

    A sample has ``image_label``, int in [0, C) or -1 without a class, ``region``, the box of its
    object as the data say it or None, and ``source``, by which a detector tells it from images with
    boxes: :class:`.LoadCoarseBox` makes a box of them, and ``PackDetInputs(meta_keys=)`` has to
    name 'source'.

    Args:
        ann_file: a folder with a folder of images for each class, a list, or a JSON file in LVIS
            format; see :func:`.records.read_records`.
        class_file: annotation file in COCO or LVIS format, relative to ``data_root``, that says
            which classes there are, and their labels: of the detection data, training or, which is
            smaller and has the same classes, validation.
        data_prefix: ``img``, the folder that the paths of images are below. None is the folder of
            classes, or else ``data_root``.
        with_labels: False forgets the classes of the images; then the classes of the data need not
            be known.
        source: what samples say of themselves.
        **kwargs: of mmdet's ``BaseDetDataset``.

    Raises:
        FileNotFoundError: if a file does not exist.
        ValueError: if a rule refuses the data (an unknown class, an image that is listed twice, no
            image, a bad row), naming the first of them; when a sample is loaded, if its image
            cannot be read.
    """

    METAINFO: dict = {'palette': None}

    def __init__(self, ann_file: str, class_file: str, *, with_labels: bool = True,
                 source: str = 'image_level', data_prefix: dict | None = None, **kwargs) -> None:
        self.class_file = class_file
        self.with_labels = with_labels
        self.source = source
        super().__init__(ann_file=ann_file, data_prefix=data_prefix or {}, **kwargs)

    def _join_prefix(self) -> None:
        super()._join_prefix()
        if not is_abs(self.class_file):
            self.class_file = os.path.join(self.data_root, self.class_file)
        if 'img' not in self.data_prefix:
            is_folder = os.path.isdir(self.ann_file)
            self.data_prefix['img'] = self.ann_file if is_folder else self.data_root

    def read(self) -> Reading:
        """The images that the data list; no rule is applied."""
        reading = read_records(self.ann_file, self.backend_args)
        if self.with_labels:
            return reading
        return reading._replace(records=[record._replace(classes=())
                                         for record in reading.records])

    def read_classes(self) -> tuple[str, ...]:
        """Names of the classes of the detection data, in the order of labels."""
        return read_class_table(self.class_file, self.backend_args).names

    def image_path(self, record: ImageLevelRecord) -> str:
        """Path or URL of an image."""
        return record.path if '://' in record.path else os.path.join(
            self.data_prefix['img'], record.path)

    def load_data_list(self) -> list[dict]:
        """The samples, in the order of the data."""
        classes, reading = self.read_classes(), self.read()
        self._metainfo['classes'] = classes
        findings = audit_records(reading, classes)
        refused = [f'  {finding}' for finding in findings if finding.rule.refused]
        if refused:
            raise ValueError('\n'.join([
                f'Image-level data {self.ann_file} are refused (classes of {self.class_file}):',
                *refused]))
        print_log('\n'.join([f'{self.ann_file}: {len(reading.records)} images without boxes.',
                             *(f'  {finding}' for finding in findings)]), logger='current')
        label_of = {name: label for label, name in enumerate(classes)}
        return [dict(img_id=number, img_path=self.image_path(record), region=record.region,
                     image_label=label_of[record.classes[0]] if record.classes else UNLABELLED,
                     source=self.source, instances=[])
                for number, record in enumerate(reading.records)]

    def get_cat_ids(self, idx: int) -> list[int]:
        """The label of an image, or none."""
        label = self.get_data_info(idx)['image_label']
        return [] if label == UNLABELLED else [label]

    def prepare_data(self, idx: int) -> dict | None:
        """A sample; a failure is explained by the image, if that is why."""
        data_info = self.get_data_info(idx)
        img_path = data_info['img_path']
        try:
            return self.pipeline(data_info)
        except Exception as error:
            fault = image_fault(img_path, self.backend_args)
            if fault is None:
                raise
            raise fault from error
