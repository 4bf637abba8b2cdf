"""One matching of detections with objects, from which every analysis of results starts."""
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from bacl.evaluation import FREQUENCIES, Detections
from bacl.evaluation.functional.arguments import check_positive_int
from bacl.evaluation.functional.federated_labels import FederatedLabels
from bacl.evaluation.functional.ground_truth import GroundTruth
from bacl.evaluation.functional.grouped_result import IOU_THRS

from .box_pairs import iterate_pairs
from .greedy_matching import match_greedily

# As in COCO and LVIS, objects above do not count.
_MAX_AREA = 1e10


@dataclass(frozen=True, eq=False)
class Objects:
    """G annotated objects.

    Attributes:
        image: (G,), int64, in [0, I).
        label: (G,), int64, in [0, C).
        box: (G, 4), (x, y, w, h) in pixels.
        is_ignored: (G,), bool: not to be found, and no error to find, as crowds in COCO.
    """

    image: np.ndarray
    label: np.ndarray
    box: np.ndarray
    is_ignored: np.ndarray


@dataclass(frozen=True, eq=False)
class Matches:
    """N detections with what each of them was matched with, by class and falling score.

    Detections of classes that are not labelled in an image (LVIS) are not among them: nobody knows
    whether they are right. Of equal scores the earlier image comes first, and within an image the
    earlier detection, as in the evaluation.

    Matching goes by falling score, so leaving out lower-ranked detections does not change the
    matches of the others: one matching serves every cap on the number of detections.

    Attributes:
        image_ids: (I,), int64, rising.
        category_ids: (C,), int64, rising; the label of a class is its place here.
        class_names: C names.
        groups: (C,), str, the group of each class.
        group_names: the groups to report.
        max_dets: the official cap, see :meth:`is_counted`.
        is_cap_per_class: whether that cap is on each image and class (COCO) or on each image, over
            all classes (LVIS).
        max_dets_in_file: largest number of detections of one image, of all classes, labelled or
            not, that there were. A test writes no more than the cap of its config.
        image: (N,), int64, in [0, I).
        label: (N,), int64, in [0, C), rising.
        score: (N,), float64.
        box: (N, 4), (x, y, w, h) in pixels.
        index: (N,), int64, place among the detections given.
        rank: (N,), int64, how many detections of its image, of all classes, come before it.
        pair_rank: (N,), int64, how many of its image and class do.
        object: (N,), int64, object it is matched with at IoU 0.5; -1 for none.
        iou: (N,), float64, IoU with that object; 0 for none.
        tp: (N, 10), bool, matched with an object that counts at IoU 0.50, 0.55, ..., 0.95.
        ignored: (N, 10), bool, neither right nor wrong: matched with an ignored object, or
            unmatched and of a class not exhaustively annotated there. All others are wrong.
        objects: those to be found.
        labelled: (L,), int64, rising: ``image * C + label`` of the pairs for which it is known
            whether the class is there. None is for all pairs.
    """

    image_ids: np.ndarray
    category_ids: np.ndarray
    class_names: tuple[str, ...]
    groups: np.ndarray
    group_names: tuple[str, ...]
    max_dets: int
    is_cap_per_class: bool
    max_dets_in_file: int
    image: np.ndarray
    label: np.ndarray
    score: np.ndarray
    box: np.ndarray
    index: np.ndarray
    rank: np.ndarray
    pair_rank: np.ndarray
    object: np.ndarray
    iou: np.ndarray
    tp: np.ndarray
    ignored: np.ndarray
    objects: Objects
    labelled: np.ndarray | None

    def __len__(self) -> int:
        """Number of detections."""
        return len(self.score)

    @property
    def num_images(self) -> int:
        """I."""
        return len(self.image_ids)

    @property
    def num_classes(self) -> int:
        """C."""
        return len(self.category_ids)

    @property
    def is_counted(self) -> np.ndarray:
        """Mask of the detections below the cap of the official evaluation: (N,), bool."""
        return (self.pair_rank if self.is_cap_per_class else self.rank) < self.max_dets

    def num_objects(self) -> np.ndarray:
        """Objects to be found of each class: (C,), int64."""
        return np.bincount(self.objects.label[~self.objects.is_ignored],
                           minlength=self.num_classes)


def match_lvis(annotations: dict, detections: Detections, max_dets: int = 300) -> Matches:
    """Match detections as LVIS does: federated labels, cap on each image.

    Args:
        annotations: what :func:`~bacl.evaluation.load_lvis_annotations` returns. Not changed.
        detections: of all images, with boxes; those beyond the cap are matched, too.
        max_dets: largest number of detections of one image that count, of all classes.

    Returns:
        The matches; groups are LVIS's frequencies.

    Raises:
        ValueError: if a detection belongs to an unknown image or category or has no box, or
            ``max_dets`` is not a positive int.
    """
    check_positive_int(max_dets, 'match_lvis(max_dets=)')
    images = {image['id']: image for image in annotations['images']}
    categories = sorted(annotations['categories'], key=lambda category: category['id'])
    category_ids = [category['id'] for category in categories]
    _check(detections, images, category_ids, 'match_lvis')
    objects = GroundTruth.from_lvis(annotations['annotations'], images, 'bbox')
    federated = FederatedLabels(images, category_ids, objects)
    # As in lvis-api, boxes without area are left out, but take a place below the cap.
    kept = federated.is_labelled(detections.image_id, detections.category_id)
    kept &= (detections.area > 0) & (detections.area < np.inf)
    not_exhaustive = federated.is_not_exhaustive(detections.image_id, detections.category_id)
    return _match(np.array(sorted(images), dtype=np.int64), categories,
                  [category['frequency'] for category in categories], FREQUENCIES, max_dets, False,
                  detections, kept, not_exhaustive, objects, federated.labelled_pairs())


def match_coco_lt(annotations: dict, detections: Detections, groups: Sequence[str],
                  group_names: Sequence[str], max_dets: int = 100) -> Matches:
    """Match detections as COCO does: every class is labelled everywhere, cap on image and class.

    Args:
        annotations: what :func:`~bacl.evaluation.load_coco_annotations` returns. Not changed.
        detections: of all images, with boxes; those beyond the cap are matched, too.
        groups: of each category, in the order of the annotations.
        group_names: the groups to report.
        max_dets: largest number of detections of one image and category that count.

    Returns:
        The matches.

    Raises:
        ValueError: if a detection belongs to an unknown image or category or has no box, ``groups``
            are not one for each category, or ``max_dets`` is not a positive int.
    """
    check_positive_int(max_dets, 'match_coco_lt(max_dets=)')
    if len(groups) != len(annotations['categories']):
        raise ValueError('match_coco_lt(groups=) expects one group for each of the '
                         f'{len(annotations["categories"])} categories, got {len(groups)}.')
    images = {image['id']: image for image in annotations['images']}
    ranked = sorted(zip(annotations['categories'], groups, strict=True),
                    key=lambda pair: pair[0]['id'])
    categories = [category for category, _ in ranked]
    _check(detections, images, [category['id'] for category in categories], 'match_coco_lt')
    everywhere = np.ones(len(detections), dtype=bool)
    return _match(np.array(sorted(images), dtype=np.int64), categories,
                  [group for _, group in ranked], group_names, max_dets, True, detections,
                  everywhere, ~everywhere,
                  GroundTruth.from_coco(annotations['annotations'], images, 'bbox'), None)


def check_same_data(matches: dict[str, Matches]) -> None:
    """Refuse runs that were not tested on the same data.

    Args:
        matches: per name of a run; at least one.

    Raises:
        ValueError: naming two runs, and in what their data differ.
    """
    (first, reference), *others = matches.items()
    for name, other in others:
        for what, same in (
                ('images', np.array_equal(reference.image_ids, other.image_ids)),
                ('categories', np.array_equal(reference.category_ids, other.category_ids)
                 and reference.class_names == other.class_names),
                ('groups of classes', np.array_equal(reference.groups, other.groups)),
                ('annotated objects', _same_objects(reference.objects, other.objects)),
                ('caps on detections', reference.max_dets == other.max_dets
                 and reference.is_cap_per_class == other.is_cap_per_class)):
            if not same:
                raise ValueError(
                    f'Runs {first!r} and {name!r} cannot be compared: their {what} differ. Test '
                    'both on the same annotation file, with the same max_dets of the evaluator.')


def _same_objects(one: Objects, other: Objects) -> bool:
    return all(np.array_equal(getattr(one, field), getattr(other, field))
               for field in ('image', 'label', 'box', 'is_ignored'))


def _check(detections: Detections, images: dict, category_ids: list[int], caller: str) -> None:
    if not isinstance(detections.region, np.ndarray):
        raise ValueError(f'{caller}(detections=) expects boxes, got masks. Make them with '
                         "Detections.from_records(..., iou_type='bbox').")
    detections.check_known(images, category_ids)


def _match(image_ids: np.ndarray, categories: list[dict], groups: Sequence[str],
           group_names: Sequence[str], max_dets: int, is_cap_per_class: bool,
           detections: Detections, kept: np.ndarray, not_exhaustive: np.ndarray,
           ground_truth: GroundTruth, labelled: np.ndarray | None) -> Matches:
    category_ids = np.array([category['id'] for category in categories], dtype=np.int64)
    num_classes = len(category_ids)
    image = np.searchsorted(image_ids, detections.image_id)
    label = np.searchsorted(category_ids, detections.category_id)
    rank = _ranks(image, detections.score)
    order = np.lexsort((image, -detections.score, label))
    pair_rank = _ranks(image * num_classes + label, detections.score)

    index = order[kept[order]]
    image, label, area = image[index], label[index], detections.area[index]
    objects = Objects(
        np.searchsorted(image_ids, ground_truth.image_id),
        np.searchsorted(category_ids, ground_truth.category_id), ground_truth.region,
        ground_truth.is_crowd | (ground_truth.area < 0) | (ground_truth.area > _MAX_AREA))
    keys, object_keys = image * num_classes + label, objects.image * num_classes + objects.label
    box = detections.region[index]
    parts = []
    for pair, found, iou in iterate_pairs(box, keys, objects.box, object_keys,
                                          ground_truth.is_crowd):
        near = iou >= IOU_THRS[0]  # the others, nearly all, are not kept
        parts.append((pair[near], found[near], iou[near]))
    pair, found, iou = (np.concatenate(column) for column in zip(*parts, strict=True)) if parts \
        else (np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
    matched = match_greedily(pair, found, iou, keys, objects.is_ignored, ground_truth.is_crowd,
                             IOU_THRS)
    is_matched = matched >= 0
    # Index -1, of unmatched ones, reads what is appended: there may be no objects.
    is_ignored = np.append(objects.is_ignored, False)[matched]
    ignored_alone = not_exhaustive[index] | (area < 0) | (area > _MAX_AREA)
    best_iou = np.zeros(len(index))
    is_best = matched[pair, 0] == found
    best_iou[pair[is_best]] = iou[is_best]
    return Matches(
        image_ids=image_ids, category_ids=category_ids,
        class_names=tuple(str(c.get('name', c['id'])) for c in categories),
        groups=np.array([str(group) for group in groups]), group_names=tuple(group_names),
        max_dets=max_dets, is_cap_per_class=is_cap_per_class,
        max_dets_in_file=int(rank.max(initial=-1)) + 1,
        image=image, label=label, score=detections.score[index], box=box, index=index,
        rank=rank[index], pair_rank=pair_rank[index],
        object=matched[:, 0].astype(np.int64), iou=best_iou, tp=is_matched & ~is_ignored,
        ignored=np.where(is_matched, is_ignored, ignored_alone[:, None]),
        objects=objects, labelled=labelled)


def _ranks(keys: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Rank among those of the same key, by falling score; of equal scores the earlier first."""
    order = np.lexsort((-score, keys))
    ranks = np.empty(len(order), dtype=np.int64)
    ranks[order] = np.arange(len(order)) - np.searchsorted(keys[order], keys[order])
    return ranks
