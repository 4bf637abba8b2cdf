"""Pairs of classes of which one is taken for the other."""
import numpy as np
import pandas as pd
from bacl.annotations import ClassTable

from .matches import Matches
from .nearest_objects import nearest_objects

# Images whose labels are looked at together, in dense matrices.
_IMAGES_AT_ONCE = 1000


def confused_pairs(matches: Matches) -> pd.DataFrame:
    """Pairs of classes of which one is found on objects of the other.

    A detection below the official cap is confused if it has no match of its own at IoU 0.5, and the
    object that it overlaps most, with IoU >= 0.5, is of another class. It outscores the right class
    if that has no right detection of the object, or one with a lower score. Of several such
    detections of a class on an object the best counts.

    In LVIS, a detection of a class that is not labelled in the image is unknown, not confused, and
    so is one that is unmatched where its class is not exhaustively annotated. So each pair is
    counted where both are labelled: ``num_labelled`` is the number of objects of the true class in
    images where the predicted class is labelled.

    Args:
        matches: of a run.

    Returns:
        One row per pair that occurs, the most outscored objects first: ``true``, ``predicted``,
        ``true_group``, ``predicted_group``, ``num_objects`` (with such a detection),
        ``num_outscored``, ``num_labelled``, ``share_outscored`` (of the labelled objects),
        ``mean_score`` (of the wrong detections).
    """
    counted = matches.is_counted
    wrong = np.flatnonzero(counted & ~matches.tp[:, 0] & ~matches.ignored[:, 0])
    near = nearest_objects(matches, wrong)
    is_confused = (near.other_iou >= 0.5) & (near.other_iou > near.own_iou)
    wrong, target = wrong[is_confused], near.other[is_confused]
    own_score = np.full(len(matches.objects.label), -np.inf)
    right = np.flatnonzero(counted & matches.tp[:, 0])
    own_score[matches.object[right]] = matches.score[right]
    frame = pd.DataFrame({
        'object': target, 'true': matches.objects.label[target], 'predicted': matches.label[wrong],
        'score': matches.score[wrong]})
    frame = frame.groupby(['object', 'true', 'predicted'], as_index=False)['score'].max()
    frame['outscored'] = frame['score'] > own_score[frame['object']]
    pairs = frame.groupby(['true', 'predicted'], as_index=False).agg(
        num_objects=('object', 'size'), num_outscored=('outscored', 'sum'),
        mean_score=('score', 'mean'))
    true, predicted = pairs['true'].to_numpy(np.int64), pairs['predicted'].to_numpy(np.int64)
    names = np.array(matches.class_names, dtype=object)
    num_labelled = _labelled_objects(matches, true, predicted)
    result = pd.DataFrame({
        'true': names[true], 'predicted': names[predicted], 'true_group': matches.groups[true],
        'predicted_group': matches.groups[predicted], 'num_objects': pairs['num_objects'],
        'num_outscored': pairs['num_outscored'].astype(np.int64), 'num_labelled': num_labelled,
        'share_outscored': pairs['num_outscored'] / num_labelled,
        'mean_score': pairs['mean_score']})
    return result.sort_values(['num_outscored', 'num_objects', 'mean_score'], ascending=False,
                              kind='stable', ignore_index=True)


def confused_pairs_of_matrix(matrix: np.ndarray, classes: ClassTable) -> pd.DataFrame:
    """Pairs of classes by the entries of a confusion matrix, such as that of an indicator.

    Args:
        matrix: (C, C), rows are true classes; the diagonal does not count.
        classes: in the order of its rows.

    Returns:
        One row per entry above 0, the largest first: ``true``, ``predicted``, ``true_group``,
        ``predicted_group``, ``share``.
    """
    off_diagonal = np.where(np.eye(len(matrix), dtype=bool), 0, matrix)
    true, predicted = np.nonzero(off_diagonal > 0)
    share = off_diagonal[true, predicted]
    order = np.argsort(-share, kind='stable')
    true, predicted, share = true[order], predicted[order], share[order]
    names, groups = np.array(classes.names, dtype=object), classes.group_keys()
    return pd.DataFrame({'true': names[true], 'predicted': names[predicted],
                         'true_group': groups[true], 'predicted_group': groups[predicted],
                         'share': share})


def _labelled_objects(matches: Matches, true: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Objects of one class in images where another is labelled, for pairs of classes: (P,)."""
    num_objects = matches.num_objects()
    if matches.labelled is None:
        return num_objects[true]
    objects, num_classes = matches.objects, matches.num_classes
    result = np.zeros((num_classes, num_classes), dtype=np.float32)
    image, label = np.divmod(matches.labelled, num_classes)
    real = ~objects.is_ignored
    for start in range(0, matches.num_images, _IMAGES_AT_ONCE):
        size = min(_IMAGES_AT_ONCE, matches.num_images - start)
        present, is_labelled = np.zeros((2, size, num_classes), dtype=np.float32)
        here = real & (objects.image >= start) & (objects.image < start + size)
        np.add.at(present, (objects.image[here] - start, objects.label[here]), 1)
        here = slice(*np.searchsorted(image, [start, start + size]))
        is_labelled[image[here] - start, label[here]] = 1
        result += present.T @ is_labelled
    return result[true, predicted].astype(np.int64)
