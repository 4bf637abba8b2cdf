"""The material of a report: annotated images, and runs that were tested on them."""
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from bacl.annotations import ClassTable
from bacl.evaluation import GroupedResult

from ..classifier import ClassifierState
from ..diagnosis import Paths
from ..results import Matches


@dataclass(frozen=True)
class Images:
    """Annotated images that can be looked at.

    Attributes:
        annotations: content of an annotation file in LVIS or COCO format.
        ann_file: where it comes from.
        class_table: its classes, in the order of the file, which is that of labels; with groups.
        image_path: from the record of an image to its file.
    """

    annotations: dict
    ann_file: str
    class_table: ClassTable
    image_path: Callable[[dict], str]

    @cached_property
    def category_ids(self) -> list[int]:
        """Ids of the classes, rising."""
        return sorted(category['id'] for category in self.annotations['categories'])

    @cached_property
    def classes(self) -> ClassTable:
        """The classes by rising category id, the order of what a report says of them."""
        return self.class_table.reordered(np.argsort(
            [category['id'] for category in self.annotations['categories']], kind='stable'))


@dataclass(frozen=True)
class Validation(Images):
    """Images that runs were tested on.

    Attributes:
        benchmark: 'LVIS' or 'COCO-LT', whose rules of evaluation hold.
        max_dets: the detection cap: for LVIS of an image, for COCO-LT of an image and category.
    """

    benchmark: str
    max_dets: int


@dataclass(frozen=True)
class Run:
    """One training, as a report shows it.

    Attributes:
        name: unique in a report.
        matches: its detections in the validation images, matched with the annotated objects.
        result: their evaluation, by the rules of the benchmark.
        fixed: their evaluation by fixed AP.
        checkpoints: per epoch or iteration, what it tells; classes are in the order of labels.
        record: file that the ImbalanceHook has written, if there is one.
        paths: its files, for commands.
    """

    name: str
    matches: Matches
    result: GroupedResult
    fixed: GroupedResult
    checkpoints: Mapping[int, ClassifierState] = field(default_factory=dict)
    record: Path | None = None
    paths: Paths = Paths()
