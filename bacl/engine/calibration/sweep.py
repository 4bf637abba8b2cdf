"""AP of stored candidates against the strength of a calibrator."""
import csv
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from bacl.evaluation import Detections
from bacl.evaluation.metrics.grouped_ap_metric import GroupedAPMetric
from bacl.models.calibrators import Calibrator, IdentityCalibrator
from bacl.models.roi_heads.score_nms import calibrate, detect, last_box_head
from mmengine.structures import InstanceData
from mmengine.utils import track_iter_progress
from torch import nn

from ..checking.config_check import arguments


def parse_sweep(text: str) -> tuple[str, list[float]]:
    """Name and values of a parameter.

    Args:
        text: ``'gamma=0:1.5:0.5'``, from, to and step, the end included; or ``'gamma=0,0.5,1'``.

    Returns:
        ``'gamma'``, [0, 0.5, 1, 1.5]

    Raises:
        ValueError: if it is something else.
    """
    name, _, values = text.partition('=')
    try:
        if ':' in values:
            start, end, step = map(float, values.split(':'))
            number = math.floor((end - start) / step + 1e-9)
            found = [round(start + i * step, 10) for i in range(number + 1)]
        else:
            found = [float(value) for value in values.split(',')]
    except (ValueError, ArithmeticError):
        found = []
    if not (name and found and all(map(math.isfinite, found))):
        raise ValueError('--sweep expects NAME=FROM:TO:STEP or NAME=VALUE,VALUE,..., as in '
                         f'gamma=0:1.5:0.1, got {text!r}.')
    return name, found


def check_parameter(calibrator_type: type, name: str) -> None:
    """Refuse the sweep of a parameter that a calibrator does not have.

    Raises:
        ValueError: naming those that it has.
    """
    known = sorted(arguments(calibrator_type) - {'num_classes'})
    if name not in known:
        raise ValueError(f'--sweep expects a parameter of {calibrator_type.__name__}, one of '
                         f'{known}, got {name!r}.')


def check_selection(key: str, results: Sequence[dict[str, float]]) -> None:
    """Refuse to choose by an AP that nothing has.

    Args:
        key: such as AP or APr.
        results: what the metric says, once or more.

    Raises:
        ValueError: if the metric does not say it, or says NaN each time.
    """
    if key not in results[0]:
        raise ValueError(f'--select expects one of {list(results[0])}, got {key!r}.')
    if all(math.isnan(result[key]) for result in results):
        raise ValueError(f'--select expects an AP of objects in the held-out images, got {key}, '
                         'for which they have none. Hold more images out with --share, '
                         '--min-images or --holdout-ann, or select by another AP.')


@dataclass(frozen=True)
class Curve:
    """AP against a parameter.

    Attributes:
        parameter: its name; None of a calibrator that has none to choose.
        values: N of them; [None] without a parameter.
        results: what the metric says with each value, such as AP and APr, in [0, 1] or NaN.
        plain: the same without calibrator.
    """

    parameter: str | None
    values: list[float | None]
    results: list[dict[str, float]]
    plain: dict[str, float]

    def best(self, key: str = 'AP') -> int:
        """Position of the value with the highest AP, the first of equal ones.

        Raises:
            ValueError: if the metric does not say it, or says NaN of every value.
        """
        check_selection(key, self.results)
        return int(np.nanargmax([result[key] for result in self.results]))

    def rows(self, keys: Sequence[str]) -> list[tuple[str, list[float]]]:
        """The value, in words, and AP by each key: those of the plain detector first."""
        names = ['on' if value is None else f'{value:g}' for value in self.values]
        return [(name, [result[key] for key in keys])
                for name, result in zip(['plain', *names], [self.plain, *self.results],
                                        strict=True)]

    def table(self, keys: Sequence[str], key: str = 'AP') -> str:
        """The curve as text, AP in percent; '-' for a group without objects.

        Args:
            keys: columns.
            key: whose best row is marked.
        """
        chosen = 1 + self.best(key)
        lines = [''.join([f'{self.parameter or "":>12}', *(f'{key:>8}' for key in keys)])]
        lines += [''.join([f'{name:>12}', *(f'{"-" if math.isnan(ap) else f"{100 * ap:.2f}":>8}'
                                            for ap in aps), ' <' * (row == chosen)])
                  for row, (name, aps) in enumerate(self.rows(keys))]
        return '\n'.join(lines)

    def write_csv(self, path: Path, keys: Sequence[str]) -> None:
        """Save the curve; AP in [0, 1], empty for a group without objects."""
        with path.open('w', newline='') as file:
            writer = csv.writer(file)
            writer.writerow([self.parameter or '', *keys])
            writer.writerows([name, *('' if math.isnan(ap) else ap for ap in aps)]
                             for name, aps in self.rows(keys))


def sweep(calibrator: Calibrator, parameter: str | None, values: Sequence[float],
          candidates: Iterable[tuple[int, InstanceData]], roi_head: nn.Module,
          metric: GroupedAPMetric) -> Curve:
    """Evaluate a calibrator with each value of a parameter.

    Args:
        calibrator: as the RoI head has it; its parameter is changed.
        parameter: an attribute of the calibrator; None for none.
        values: of the parameter.
        candidates: image ids with ``bboxes`` and ``logits``; gone through for each value.
        roi_head: its box head activates logits, its ``test_cfg`` says the NMS.
        metric: with the annotations of the images.
    """
    def evaluate(chosen: Calibrator) -> dict[str, float]:
        detections = calibrated_detections(chosen, candidates, roi_head, metric.category_ids)
        return metric.evaluate_detections(detections, 'bbox')[''].summary()

    plain = evaluate(IdentityCalibrator(calibrator.num_classes))
    if parameter is None:
        return Curve(None, [None], [evaluate(calibrator)], plain)
    results = []
    for value in track_iter_progress(list(values)):
        setattr(calibrator, parameter, value)
        results.append(evaluate(calibrator))
    return Curve(parameter, list(values), results, plain)


def no_detections() -> Detections:
    """Detections of a detector that found nothing."""
    none = np.zeros(0)
    ids = none.astype(np.int64)
    return Detections(image_id=ids, category_id=ids, score=none, area=none,
                      region=np.zeros((0, 4)))


@torch.no_grad()
def calibrated_detections(calibrator: Calibrator, candidates: Iterable[tuple[int, InstanceData]],
                          roi_head: nn.Module, category_ids: np.ndarray) -> Detections:
    """Detections of all images, as the RoI head would make them.

    Args:
        calibrator: of scores or logits.
        candidates: image ids with ``bboxes`` and ``logits``.
        roi_head: see :func:`sweep`.
        category_ids: (C,), of each label.
    """
    head, parts = last_box_head(roi_head), []
    for image_id, image in candidates:
        scores = calibrate(calibrator, head, image.logits)
        found = detect(InstanceData(bboxes=image.bboxes, scores=scores), roi_head.test_cfg)
        # Float64 before the subtraction: widths as exact as the corners are.
        boxes = found.bboxes.numpy().astype(np.float64)
        boxes[:, 2:] -= boxes[:, :2]
        parts.append(Detections(
            image_id=np.full(len(boxes), image_id), area=boxes[:, 2] * boxes[:, 3], region=boxes,
            category_id=category_ids[found.labels.numpy()],
            score=found.scores.numpy().astype(np.float64)))
    return Detections.concatenate(parts)
