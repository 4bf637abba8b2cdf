"""Clustering by affinity propagation: groups of points around some of the points themselves."""
import numpy as np


def affinity_propagation(similarity: np.ndarray, damping: float = 0.5, max_iter: int = 200,
                         patience: int = 15) -> np.ndarray:
    """Group points by their similarities; how many groups there are follows from these.

    Points send each other messages until the same ones of them have been exemplars ``patience``
    times: how well k would do as the exemplar of i (responsibility), and how many others agree
    (availability). The similarity of a point to itself, which says how willing it is to be an
    exemplar, is the median of all.

    Args:
        similarity: (n, n), the higher the more alike, such as negative squared distances.
        damping: weight of the old messages, in [0.5, 1).
        max_iter: largest number of rounds.
        patience: rounds without change that end it.

    Returns:
        (n,), int64, number of the group of each point, from 0. Without an exemplar after the last
        round, every point is a group of its own.

    Reference:
        Frey and Dueck, "Clustering by Passing Messages Between Data Points", Science 2007.
    """
    num = len(similarity)
    if num < 2:
        return np.zeros(num, dtype=np.int64)
    points = np.arange(num)
    similarity = np.array(similarity, dtype=np.float64)
    similarity[points, points] = np.median(similarity)
    # Of two points that are equally good exemplars, none would ever win.
    noise = np.random.default_rng(0).standard_normal(similarity.shape)
    similarity += noise * 1e-15 * np.abs(similarity).max()
    responsibility, availability = np.zeros((2, num, num))
    unchanged, exemplars = 0, np.zeros(num, dtype=bool)
    for _ in range(max_iter):
        total = availability + similarity
        best = total.argmax(axis=1)
        highest = total[points, best]
        total[points, best] = -np.inf
        change = similarity - highest[:, None]
        change[points, best] = similarity[points, best] - total.max(axis=1)
        responsibility = damping * responsibility + (1 - damping) * change

        support = responsibility.clip(min=0)
        support[points, points] = responsibility[points, points]
        change = support.sum(axis=0) - support
        own = change[points, points]
        change = change.clip(max=0)
        change[points, points] = own
        availability = damping * availability + (1 - damping) * change

        before, exemplars = exemplars, (availability + responsibility)[points, points] > 0
        unchanged = unchanged + 1 if (before == exemplars).all() else 0
        if unchanged >= patience and exemplars.any():
            break
    if not exemplars.any():
        return points
    group = similarity[:, exemplars].argmax(axis=1)
    group[exemplars] = np.arange(exemplars.sum())
    return group
