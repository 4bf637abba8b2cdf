"""The record of a training's imbalances that ``ImbalanceHook`` writes."""
import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import reduce
from os import PathLike
from pathlib import Path

import numpy as np

__all__ = ['TrainingRecord', 'merge_ranks']


@dataclass(frozen=True)
class TrainingRecord:
    """RoIs, losses and gradients of a training, by period and by point in time.

    The file ``imbalance.npz`` holds one array under the name of each attribute, without pickles:
    ``numpy.load`` reads it, too.

    A period is an epoch, or all of a training that is counted in iterations. A point is a window
    of some iterations, at the interval of the hook. A stage is a box head: one, or those of a
    cascade. Sizes: C classes, S stages, L levels of the RoI extractor (0 if it has no rule that
    assigns RoIs to levels), B bins of IoU, E periods, P points, T terms of the loss.

    Attributes:
        class_names: (C,), str, in the order of the training's labels.
        instance_count: (C,), int64, instances in the training set.
        stages: (S,), str, '' if there is one, else 's0', 's1', ... as in mmdet's losses.
        level_strides: (L,), int64, in pixels, of the levels.
        iou_edges: (B + 1,), of the bins, rising from 0 to 1.
        gradient_of: (), str, what gradients are taken of: 'features' that RPN and RoI heads share,
            'parameters' that learn, if the features have no gradient, or 'nothing' yet.
        first_iteration: (E,), int64, counted from 1, of each period.
        last_iteration: (E,), int64.
        num_batches: (E,), int64, over all ranks.
        num_images: (E,), int64, over all ranks.
        positives: (E, S, C), int64, sampled RoIs with the label of the class.
        negatives: (E, S), int64, sampled RoIs of the background.
        hallucinated: (E, S, C), int64, samples made by feature hallucination.
        batches_with_class: (E, S, C), int64, batches (of a rank) with a positive of the class.
        level_positives: (E, S, L), int64, positives assigned to each level.
        level_negatives: (E, S, L), int64.
        iou_count: (E, S, B), int64, positives by IoU with their ground truth, without the
            ground-truth boxes that the sampler adds to the proposals.
        added_count: (E, S), int64, positives that are such ground-truth boxes; their IoU is 1.
        regression_loss: (E, S, B), sum of the box regression loss of those in ``iou_count``, before
            it is divided by the number of RoIs; 0 if the head's ``loss_bbox`` is not observed.
        added_regression_loss: (E, S), the same of the added boxes.
        iteration: (P,), int64, last of each window.
        positives_per_image: (P, S), sampled RoIs, mean over the window and the ranks.
        negatives_per_image: (P, S), likewise.
        classes_per_batch: (P, S), classes among the positives of a rank's batch, likewise.
        terms: (T,), str, names of the loss terms, as in mmdet's log.
        loss: (P, T), their values, mean over the window and the ranks; NaN if not seen.
        gradient_norm: (P, T), Euclidean norm of their gradients in the last iteration of the
            window, mean over the ranks' own gradients; NaN if not seen.
    """

    class_names: np.ndarray
    instance_count: np.ndarray
    stages: np.ndarray
    level_strides: np.ndarray
    iou_edges: np.ndarray
    gradient_of: np.ndarray
    first_iteration: np.ndarray
    last_iteration: np.ndarray
    num_batches: np.ndarray
    num_images: np.ndarray
    positives: np.ndarray
    negatives: np.ndarray
    hallucinated: np.ndarray
    batches_with_class: np.ndarray
    level_positives: np.ndarray
    level_negatives: np.ndarray
    iou_count: np.ndarray
    added_count: np.ndarray
    regression_loss: np.ndarray
    added_regression_loss: np.ndarray
    iteration: np.ndarray
    positives_per_image: np.ndarray
    negatives_per_image: np.ndarray
    classes_per_batch: np.ndarray
    terms: np.ndarray
    loss: np.ndarray
    gradient_norm: np.ndarray

    @classmethod
    def load(cls, path: str | PathLike) -> 'TrainingRecord':
        """Read a file that the hook has written.

        Raises:
            FileNotFoundError: if there is none; the message says how to get one.
            ValueError: if it is not such a file.
        """
        if not Path(path).is_file():
            raise FileNotFoundError(
                f'There is no {path}. Train with --cfg-options '
                'default_hooks.imbalance.type=ImbalanceHook to record the imbalances of a '
                'training.')
        try:
            with np.load(path) as arrays:
                return cls(**{field.name: arrays[field.name] for field in fields(cls)})
        except (KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(f'{path} is not the record of an ImbalanceHook: {error}. '
                             'Train again or remove it.') from None

    def to_bytes(self) -> bytes:
        """Content of the file."""
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **{f.name: getattr(self, f.name) for f in fields(self)})
        return buffer.getvalue()

    def up_to(self, iteration: int) -> 'TrainingRecord':
        """The record up to an iteration; a period that goes beyond it is left out."""
        kept_periods = self.last_iteration <= iteration
        kept_points = self.iteration <= iteration
        return replace(self, **{name: getattr(self, name)[kept_periods] for name in PER_PERIOD},
                       **{name: getattr(self, name)[kept_points] for name in PER_POINT})

    def describes_same(self, other: 'TrainingRecord') -> bool:
        """True for records of the same classes, stages, levels and bins."""
        return all(np.array_equal(getattr(self, name), getattr(other, name)) for name in FIXED)

    def followed_by(self, later: 'TrainingRecord') -> 'TrainingRecord':
        """This record and a later one of the same training.

        Raises:
            ValueError: if they differ in classes, stages, levels or bins.
        """
        if not self.describes_same(later):
            raise ValueError('TrainingRecord.followed_by(later=) expects a record of the same '
                             f'{len(self.class_names)} classes, stages and levels, got another.')
        first, second = with_same_terms([self, later])
        gradient_of = first.gradient_of if second.gradient_of == 'nothing' else second.gradient_of
        return replace(second, gradient_of=gradient_of, **{
            name: np.concatenate([getattr(first, name), getattr(second, name)])
            for name in PER_PERIOD + PER_POINT})


FIXED = ('class_names', 'instance_count', 'stages', 'level_strides', 'iou_edges')
# Attributes with periods or points as their first axis.
COUNTED = ('num_batches', 'num_images', 'positives', 'negatives', 'hallucinated',
           'batches_with_class', 'level_positives', 'level_negatives', 'iou_count', 'added_count',
           'regression_loss', 'added_regression_loss')
PER_PERIOD = ('first_iteration', 'last_iteration', *COUNTED)
AVERAGED = ('positives_per_image', 'negatives_per_image', 'classes_per_batch', 'loss',
            'gradient_norm')
PER_POINT = ('iteration', *AVERAGED)


def with_same_terms(records: Sequence[TrainingRecord]) -> list[TrainingRecord]:
    """The same records, each with the loss terms of all, in the order of their first appearance."""
    terms = list(dict.fromkeys(term for record in records for term in record.terms.tolist()))

    def spread(record: TrainingRecord, values: np.ndarray) -> np.ndarray:
        wide = np.full((len(values), len(terms)), np.nan)
        wide[:, [terms.index(term) for term in record.terms.tolist()]] = values
        return wide

    return [replace(record, terms=np.array(terms, dtype=str), loss=spread(record, record.loss),
                    gradient_norm=spread(record, record.gradient_norm)) for record in records]


def merge_ranks(records: Sequence[TrainingRecord]) -> TrainingRecord:
    """One record of what the ranks of a training have recorded in the same time.

    Args:
        records: of each rank, with the same periods and points.

    Returns:
        Counts summed; values of points averaged, over the ranks that have seen them.
    """
    same = with_same_terms(records)
    summed = {name: reduce(np.add, [getattr(record, name) for record in same]) for name in COUNTED}
    averaged = {name: _mean_of_seen(np.stack([getattr(record, name) for record in same]))
                for name in AVERAGED}
    gradient_of = next((record.gradient_of for record in same if record.gradient_of != 'nothing'),
                       same[0].gradient_of)
    return replace(same[0], gradient_of=gradient_of, **summed, **averaged)


def _mean_of_seen(values: np.ndarray) -> np.ndarray:
    """Mean over the first axis without NaN; NaN, without a warning, where all are."""
    is_seen = ~np.isnan(values)
    total, count = np.where(is_seen, values, 0).sum(0), is_seen.sum(0)
    return np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
