"""The states of a model's classifier, indicators and hallucination, in numbers.

Of each box head there is one classifier: one in Faster and Mask R-CNN, one per stage in Cascade
R-CNN. Stages are numbered from 0.
"""
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from bacl.annotations import ClassTable
from bacl.engine.probing.class_values import Indicator, as_array, classifier_norms, indicators
from bacl.models.augmenters import class_probability
from torch import nn


@dataclass(frozen=True, eq=False)
class IndicatorState:
    """An indicator at the time when the checkpoint was written.

    Attributes:
        kind: the statistic, in words.
        strength: (C,), in [0, 1], l_i of Eq. (12).
        num_samples: (C,), training samples of each class that it has seen, those of hallucination
            included; None where it does not count them.
        confusion: (C, C), rows are true classes and sum to 1 or, for a class never seen, are 0;
            None where it knows no pairs.
    """

    kind: str
    strength: np.ndarray
    num_samples: np.ndarray | None
    confusion: np.ndarray | None


@dataclass(frozen=True, eq=False)
class ClassifierState:
    """Everything that a report takes from a checkpoint.

    Attributes:
        norms: for each stage (C,), L2 norms of the weights of each class in the classifier; none
            of a model whose classifier is not one linear layer.
        indicators: in the order of the model's modules; in a cascade one of each stage.
        known: for each stage (C,), bool, classes whose features the hallucination knows; none
            without a hallucination.
    """

    norms: list[np.ndarray]
    indicators: list[IndicatorState]
    known: list[np.ndarray]

    @classmethod
    def of_model(cls, model: nn.Module, num_classes: int) -> 'ClassifierState':
        """Ask a model, whose modules have the state of the checkpoint.

        Args:
            model: a detector.
            num_classes: C.

        Raises:
            ValueError: if a classifier has fewer than C rows.
            RuntimeError: if an indicator lacks what it needs.
        """
        return cls(classifier_norms(model, num_classes),
                   [_state_of(indicator) for indicator in indicators(model)],
                   [as_array(module.is_known).astype(bool)
                    for module in feature_statistics(model)])


def feature_statistics(model: nn.Module) -> list[nn.Module]:
    """The modules of a model that know the features of classes, and of which (``is_known``)."""
    return [module for module in model.modules()
            if isinstance(getattr(module, 'is_known', None), torch.Tensor)]


def _state_of(indicator: Indicator) -> IndicatorState:
    words = ''.join(f' {letter.lower()}' if letter.isupper() else letter
                    for letter in type(indicator).__name__).strip()
    value = as_array(indicator.value()) if hasattr(indicator, 'value') else np.empty(0)
    num_samples = getattr(indicator, 'num_samples', None)
    return IndicatorState(
        words, as_array(indicator.strength()),
        as_array(num_samples) if isinstance(num_samples, torch.Tensor) else None,
        value if value.ndim == 2 else None)


def draw_probabilities(strength: np.ndarray, is_known: np.ndarray) -> np.ndarray:
    """Probability of each class to be hallucinated in a draw.

    A checkpoint does not hold what was drawn. This is what training drew from when it was
    written. A class drawn without known features yields nothing, so its probability is 0 here and
    the sum can be below 1.

    Args:
        strength: (C,), in [0, 1].
        is_known: (C,), bool, classes whose features are known.

    Returns:
        (C,), in [0, 1]; see :func:`bacl.models.augmenters.class_probability`.
    """
    return np.where(is_known, class_probability(torch.from_numpy(strength)).numpy(), 0)


def norm_frame(checkpoints: Mapping[str, ClassifierState], classes: ClassTable) -> pd.DataFrame:
    """Weight norms of the classifiers of several checkpoints against frequency (Fig. 5).

    Args:
        checkpoints: by name, at least one with norms.
        classes: in label order.

    Returns:
        One row per checkpoint, stage and class: ``checkpoint``, ``stage``, ``name``, ``group``,
        ``image_count``, ``rank`` (0 for the most frequent), ``norm``, ``relative_norm`` (divided by
        the mean over the classes).
    """
    return pd.concat([
        pd.DataFrame({'checkpoint': name, 'stage': stage, **_class_columns(classes),
                      'image_count': classes.image_count, 'norm': norm,
                      'relative_norm': norm / norm.mean()})
        for name, state in checkpoints.items() for stage, norm in enumerate(state.norms)],
        ignore_index=True)


def indicator_frame(epochs: Mapping[int, ClassifierState], classes: ClassTable) -> pd.DataFrame:
    """Strengths of indicators and probabilities of the hallucination over the epochs.

    Args:
        epochs: of its checkpoints.
        classes: in label order.

    Returns:
        One row per epoch, stage and class: ``epoch``, ``stage``, ``kind``, ``name``, ``group``,
        ``rank`` (0 for the most frequent), ``strength`` in [0, 1], ``num_samples`` (NaN where the
        indicator does not count), ``is_known`` and ``probability`` (of a draw of the hallucination;
        NaN without one). No rows for checkpoints without an indicator.

    Raises:
        ValueError: if an indicator has another number of classes.
    """
    columns = ['epoch', 'stage', 'kind', 'name', 'group', 'rank', 'strength', 'num_samples',
               'is_known', 'probability']
    frames = []
    for epoch in sorted(epochs):
        known = epochs[epoch].known
        for stage, state in enumerate(epochs[epoch].indicators):
            if len(state.strength) != classes.num_classes:
                raise ValueError(
                    f'indicator_frame(classes=) expects the {len(state.strength)} classes of the '
                    f'indicator, got {classes.num_classes}. The checkpoint is one of another data '
                    'set.')
            has_features = known[stage] if stage < len(known) else None
            frames.append(pd.DataFrame({
                'epoch': epoch, 'stage': stage, 'kind': state.kind, **_class_columns(classes),
                'strength': state.strength,
                'num_samples': np.nan if state.num_samples is None else state.num_samples,
                'is_known': np.nan if has_features is None else has_features,
                'probability': np.nan if has_features is None else
                draw_probabilities(state.strength, has_features)}))
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns)


def _class_columns(classes: ClassTable) -> dict[str, Sequence]:
    rank = np.empty(classes.num_classes, dtype=np.int64)
    rank[np.argsort(-classes.image_count, kind='stable')] = np.arange(classes.num_classes)
    return {'name': classes.names, 'group': classes.group_keys(), 'rank': rank}
