"""What a checkpoint tells of its classifier, its indicators and its hallucination.

Of each box head there is one classifier: one in Faster and Mask R-CNN, one per stage in Cascade
R-CNN. Stages are numbered from 0.
"""
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

StateDict = Mapping[str, 'np.ndarray | torch.Tensor']

_CLASSIFIER = re.compile(r'(?:^|\.)bbox_head\.(?:(\d+)\.)?fc_cls\.weight$')
_INDICATOR = re.compile(r'(?:^|\.)bbox_head\.(?:(\d+)\.)?loss_cls\.indicator\.(\w+)$')
_DISTRIBUTION = re.compile(r'(?:^|\.)hallucinators\.(\d+)\.distribution\.is_known$')


@dataclass(frozen=True, eq=False)
class IndicatorState:
    """What a long-term indicator had seen when the checkpoint was written.

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


def classifier_norms(state_dict: StateDict, num_classes: int) -> list[np.ndarray]:
    """Norm of the weights of each class in the classifier.

    A classifier that compares directions (mmdet's NormedLinear) divides by them: then they do not
    influence its scores, and a state dict does not tell.

    Args:
        state_dict: of a detector.
        num_classes: C; rows behind, such as background, are left out.

    Returns:
        For each stage (C,), L2 norms.

    Raises:
        ValueError: if there is no classifier, or one with fewer than C rows.
    """
    stages = {int(stage or 0): _array(value) for stage, value in _found(state_dict, _CLASSIFIER)}
    if not stages:
        raise ValueError('classifier_norms(state_dict=) expects bbox_head.fc_cls.weight, got none. '
                         'Give the state_dict of a two-stage detector of mmdet.')
    for stage, weight in stages.items():
        if len(weight) < num_classes:
            raise ValueError(f'classifier_norms(num_classes=) expects at most the {len(weight)} '
                             f'rows of the classifier of stage {stage}, got {num_classes}. The '
                             'checkpoint is one of another data set, or class-agnostic.')
    return [np.linalg.norm(stages[stage][:num_classes].reshape(num_classes, -1), axis=1)
            for stage in sorted(stages)]


def indicator_states(state_dict: StateDict) -> list[IndicatorState]:
    """The long-term indicators of a checkpoint.

    Args:
        state_dict: of a detector.

    Returns:
        One per stage; none of a detector without (such as one of stage 1).

    Raises:
        ValueError: if an indicator has buffers of no known kind.
    """
    stages: dict[int, dict[str, np.ndarray]] = {}
    for (stage, name), value in _found(state_dict, _INDICATOR):
        stages.setdefault(int(stage or 0), {})[name] = _array(value)
    return [_indicator_state(stages[stage]) for stage in sorted(stages)]


def class_probabilities(strength: np.ndarray, is_known: np.ndarray) -> np.ndarray:
    """How likely each class is to be hallucinated in a draw (Eq. 12).

    A checkpoint does not hold what was drawn. This is what training drew from when it was
    written. A class drawn without known features yields nothing, so its probability is 0 here and
    the sum can be below 1.

    Args:
        strength: (C,), in [0, 1].
        is_known: (C,), bool, classes whose features are known.

    Returns:
        (C,), in [0, 1].

    Reference:
        Qi et al., "Balanced Classification", IEEE TMM 2023, Eq. (12).
    """
    weakness = (1 - strength).clip(min=0)
    if not weakness.sum() > 0:
        weakness = np.ones_like(weakness)
    return np.where(is_known, weakness / weakness.sum(), 0)


def known_classes(state_dict: StateDict) -> list[np.ndarray]:
    """Classes whose features the hallucination knows: of each stage (C,), bool; [] without any."""
    found = {int(stage): _array(value).astype(bool)
             for (stage, ), value in _found(state_dict, _DISTRIBUTION, as_tuple=True)}
    return [found[stage] for stage in sorted(found)]


def norm_frame(checkpoints: Mapping[str, StateDict], class_names: Sequence[str],
               groups: Sequence[str], image_count: Sequence[int]) -> pd.DataFrame:
    """Weight norms of the classifiers of several checkpoints against frequency (Fig. 5).

    Args:
        checkpoints: state dicts, by name.
        class_names: C names, in label order.
        groups: (C,).
        image_count: (C,), training images with the class.

    Returns:
        One row per checkpoint, stage and class: ``checkpoint``, ``stage``, ``name``, ``group``,
        ``image_count``, ``rank`` (0 for the most frequent), ``norm``, ``relative_norm`` (divided by
        the mean over the classes).

    Raises:
        ValueError: see :func:`classifier_norms`.
    """
    rank = _frequency_rank(image_count)
    return pd.concat([
        pd.DataFrame({'checkpoint': name, 'stage': stage, 'name': class_names, 'group': groups,
                      'image_count': image_count, 'rank': rank, 'norm': norm,
                      'relative_norm': norm / norm.mean()})
        for name, state in checkpoints.items()
        for stage, norm in enumerate(classifier_norms(state, len(class_names)))],
        ignore_index=True)


def indicator_frame(epochs: Mapping[int, StateDict], class_names: Sequence[str],
                    groups: Sequence[str], image_count: Sequence[int]) -> pd.DataFrame:
    """How indicators and hallucination went over the epochs of a training.

    Args:
        epochs: state dicts of its checkpoints, by epoch.
        class_names: C names, in label order.
        groups: (C,).
        image_count: (C,), training images with the class.

    Returns:
        One row per epoch, stage and class: ``epoch``, ``stage``, ``kind``, ``name``, ``group``,
        ``rank`` (0 for the most frequent), ``strength`` in [0, 1], ``num_samples`` (NaN where the
        indicator does not count), ``is_known`` and ``probability`` (of a draw of the hallucination;
        NaN without one). No rows for checkpoints without an indicator.

    Raises:
        ValueError: see :func:`indicator_states`; or if an indicator has another number of classes.
    """
    columns = ['epoch', 'stage', 'kind', 'name', 'group', 'rank', 'strength', 'num_samples',
               'is_known', 'probability']
    rank, frames = _frequency_rank(image_count), []
    for epoch in sorted(epochs):
        known = known_classes(epochs[epoch])
        for stage, state in enumerate(indicator_states(epochs[epoch])):
            if len(state.strength) != len(class_names):
                raise ValueError(f'indicator_frame(class_names=) expects the '
                                 f'{len(state.strength)} classes of the indicator, got '
                                 f'{len(class_names)}. The checkpoint is one of another data set.')
            has_features = known[stage] if stage < len(known) else None
            frames.append(pd.DataFrame({
                'epoch': epoch, 'stage': stage, 'kind': state.kind, 'name': class_names,
                'group': groups, 'rank': rank, 'strength': state.strength,
                'num_samples': np.nan if state.num_samples is None else state.num_samples,
                'is_known': np.nan if has_features is None else has_features,
                'probability': np.nan if has_features is None else
                class_probabilities(state.strength, has_features)}))
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns)


def _indicator_state(buffers: dict[str, np.ndarray]) -> IndicatorState:
    num_samples = buffers.get('num_samples')
    seen = None if num_samples is None else num_samples.clip(min=1)
    if 'score_sum' in buffers:
        confusion = buffers['score_sum'] / seen[:, None]
        return IndicatorState('confusion matrix', confusion.diagonal().copy(), num_samples,
                              confusion)
    if 'num_correct' in buffers:
        return IndicatorState('true positive rate', buffers['num_correct'] / seen, num_samples,
                              None)
    if 'mean_score' in buffers:
        return IndicatorState('mean classification score', buffers['mean_score'], None, None)
    if 'counts' in buffers:
        counts = buffers['counts']
        return IndicatorState('training frequency', counts / max(counts.max(), 1), None, None)
    if num_samples is not None:
        return IndicatorState('cumulative instance number', num_samples / seen.max(), num_samples,
                              None)
    raise ValueError('indicator_states(state_dict=) expects the buffers of an indicator of bacl, '
                     f'got {sorted(buffers)}.')


def _found(state_dict: StateDict, pattern: re.Pattern, as_tuple: bool = False) -> list[tuple]:
    """What the groups of a pattern match in the keys, and the values."""
    matched = ((pattern.search(key), value) for key, value in state_dict.items())
    return [(match.groups() if as_tuple or pattern.groups > 1 else match.group(1), value)
            for match, value in matched if match]


def _array(value: 'np.ndarray | torch.Tensor') -> np.ndarray:
    # bfloat16 has no NumPy type.
    return torch.as_tensor(value).detach().cpu().double().numpy()


def _frequency_rank(image_count: Sequence[int]) -> np.ndarray:
    rank = np.empty(len(image_count), dtype=np.int64)
    rank[np.argsort(-np.asarray(image_count), kind='stable')] = np.arange(len(image_count))
    return rank
