"""What a report is made of: annotated images, and runs that were tested on them."""
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from bacl.annotations.coco import coco_class_table
from bacl.evaluation import GroupedResult

from ..classifier import StateDict
from ..results import Matches


@dataclass(frozen=True)
class Images:
    """Annotated images that can be looked at.

    Attributes:
        annotations: content of an annotation file in LVIS or COCO format.
        ann_file: where it comes from.
        classes: see :func:`class_frame`.
        image_path: from the record of an image to its file.
    """

    annotations: dict
    ann_file: str
    classes: pd.DataFrame
    image_path: Callable[[dict], str]


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
    """What a report shows of one training.

    Attributes:
        name: unique in a report.
        matches: its detections in the validation images, matched with the annotated objects.
        result: their evaluation, by the rules of the benchmark.
        checkpoints: per epoch or iteration, what of its state dict tells of the classifier, the
            indicator and the hallucination; classes are in the order of the annotation file.
        record: file that the ImbalanceHook has written, if there is one.
    """

    name: str
    matches: Matches
    result: GroupedResult
    checkpoints: Mapping[int, StateDict] = field(default_factory=dict)
    record: Path | None = None


def class_frame(data: dict, ann_file: str, train: dict | None = None) -> pd.DataFrame:
    """Names, groups and training counts of the classes of an annotation file.

    Args:
        data: its content.
        ann_file: for messages.
        train: content of the training annotations, if the counts and groups are to be theirs.

    Returns:
        A row for each class, its category id as index, by rising id; columns name, group,
        train_images, train_instances. Without groups in the file they are those of COCO-LT.

    Raises:
        ValueError: if the counts in the file contradict it.
    """
    counts = coco_class_table(data if train is None else train, ann_file)
    group = (counts if counts.groups else counts.grouped_by_instances()).group_keys()
    return pd.DataFrame(
        dict(name=[str(category['name']) for category in data['categories']], group=group,
             train_images=counts.image_count, train_instances=counts.instance_count),
        index=pd.Index([category['id'] for category in data['categories']],
                       name='category_id')).sort_index()
