"""One number per class that a model tells: norms of its classifier, strengths of its indicators."""
import re
from collections.abc import Iterable
from typing import Protocol

import numpy as np
from torch import Tensor, nn

_CLASSIFIER = re.compile(r'(?:^|\.)bbox_head\.(?:(\d+)\.)?fc_cls\.weight$')


class Indicator(Protocol):
    """A module that says how well the classifier knows each class."""

    def strength(self) -> Tensor:
        """(C,), in [0, 1]."""


def indicators(model: nn.Module) -> list[Indicator]:
    """The modules of a model that have a method ``strength``, whatever their type."""
    return [module for module in model.modules() if callable(getattr(module, 'strength', None))]


def strengths(model: nn.Module) -> list[np.ndarray]:
    """Strengths by each of the :func:`indicators`: (C,) each."""
    return [as_array(indicator.strength()) for indicator in indicators(model)]


def classifier_norms(model: nn.Module, num_classes: int) -> list[np.ndarray]:
    """:func:`norms_of_weights` of a model.

    Args:
        model: a two-stage detector.
        num_classes: see there.
    """
    return norms_of_weights(model.named_parameters(), num_classes)


def norms_of_weights(weights: Iterable[tuple[str, Tensor]], num_classes: int) -> list[np.ndarray]:
    """L2 norms of the weights of each class in the classifiers.

    A classifier that compares directions (mmdet's NormedLinear) divides by them: then they do not
    influence its scores.

    Args:
        weights: of a two-stage detector, with their names.
        num_classes: C; rows behind, such as background, are left out.

    Returns:
        For each stage (C,); none of a model whose box heads have no layer ``fc_cls`` with weights.

    Raises:
        ValueError: if a classifier has fewer than C rows.
    """
    stages = {int(match[1] or 0): as_array(value) for name, value in weights
              if (match := _CLASSIFIER.search(name))}
    for stage, weight in stages.items():
        if len(weight) < num_classes:
            raise ValueError(f'norms_of_weights(num_classes=) expects at most the {len(weight)} '
                             f'rows of the classifier of stage {stage}, got {num_classes}. The '
                             'checkpoint is one of another data set, or class-agnostic.')
    return [np.linalg.norm(stages[stage][:num_classes].reshape(num_classes, -1), axis=1)
            for stage in sorted(stages)]


def as_array(tensor: Tensor) -> np.ndarray:
    """A tensor of any device and precision as float64."""
    return tensor.detach().cpu().double().numpy()  # NumPy has no bfloat16
