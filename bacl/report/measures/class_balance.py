"""Measures of how evenly objects are spread over classes, or anything over anything.

Counts ``n_1 .. n_C`` are those of C classes, for instance of their instances; shares are
``p_c = n_c / sum(n)``. All measures are symmetric: which class has which count does not matter.
Without a single object none is defined, and they are NaN.
"""
import numpy as np


def instance_counts(label: np.ndarray, num_classes: int) -> np.ndarray:
    """Number of objects of each class.

    Args:
        label: (M,), int64 in [0, C).
        num_classes: C.

    Returns:
        (C,), int64.
    """
    return np.bincount(label, minlength=num_classes)


def image_counts(image: np.ndarray, label: np.ndarray, num_classes: int) -> np.ndarray:
    """Number of images in which each class occurs.

    Args:
        image: (M,), int64 >= 0, of each object.
        label: (M,), int64 in [0, C).
        num_classes: C.

    Returns:
        (C,), int64.
    """
    _, present = classes_in_images(image, label, num_classes)
    return np.bincount(present, minlength=num_classes)


def classes_in_images(image: np.ndarray, label: np.ndarray,
                      num_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Every class of every image, once.

    Args:
        image: (M,), int64 >= 0, of each object.
        label: (M,), int64 in [0, C).
        num_classes: C.

    Returns:
        Images (K,) and labels (K,), ordered by both.
    """
    # np.unique takes 20 times as long for a million pairs (NumPy 2.4).
    pairs = np.sort(image * num_classes + label)
    is_first = np.ones(len(pairs), dtype=bool)
    is_first[1:] = pairs[1:] != pairs[:-1]
    return np.divmod(pairs[is_first], num_classes)


def shares(counts: np.ndarray) -> np.ndarray:
    """Counts over their sum; NaN if that is 0.

    Args:
        counts: (..., C), >= 0; sums are over the last axis.

    Returns:
        (..., C), in [0, 1].
    """
    counts = np.asarray(counts, dtype=float)
    total = counts.sum(-1, keepdims=True)
    return np.divide(counts, total, out=np.full_like(counts, np.nan), where=total > 0)


def lorenz_curve(counts: np.ndarray) -> np.ndarray:
    """Share of all objects that the k rarest classes have together.

    Args:
        counts: (C,), >= 0.

    Returns:
        (C + 1,), rising from 0 (k = 0) to 1 (k = C).
    """
    return np.concatenate([[0.0], np.cumsum(shares(np.sort(counts)))])


def gini(counts: np.ndarray) -> float:
    """Gini coefficient: twice the area between the Lorenz curve and the diagonal.

    ``G = sum_ij |n_i - n_j| / (2 C sum(n))``, in [0, 1 - 1/C]: 0 if all classes have the same
    count, the largest value if one class has all objects.

    Args:
        counts: (C,), >= 0.

    Reference:
        Gini, "Variabilità e mutabilità", 1912; for object detection the review of Oksuz et al.,
        "Imbalance Problems in Object Detection", TPAMI 2020, leaves the measure open (Sec. 9.2).
    """
    curve = lorenz_curve(counts)
    return float(1 - (curve[1:] + curve[:-1]).sum() / len(counts))


def imbalance_ratio(counts: np.ndarray) -> float:
    """Largest over smallest count, of the classes that have objects; >= 1.

    Classes without objects are left out, as the ratio would be infinite: count them beside it.

    Args:
        counts: (C,), >= 0.
    """
    present = counts[counts > 0]
    return float(present.max() / present.min()) if len(present) else float('nan')


def relative_entropy(counts: np.ndarray) -> float:
    """Entropy of the shares over that of equal shares.

    ``-sum_c p_c log p_c / log C``, in [0, 1]: 1 if all classes have the same count, 0 if one class
    has all objects. A single class is as even as it can be: 1.

    Args:
        counts: (C,), >= 0.
    """
    share = shares(counts)
    if np.isnan(share).any() or len(share) == 1:
        return 1.0 if share.sum() > 0 else float('nan')
    present = share[share > 0]
    # Of one class, -0 would be 0, but prints as it is.
    return float(abs(present @ np.log(present)) / np.log(len(share)))


def wasserstein_to_uniform(counts: np.ndarray) -> float:
    """Wasserstein-1 distance between the shares and equal ones, along the ranking of the classes.

    Classes stand by falling count at the positions ``1/C, 2/C .. 1``. With the cumulative shares
    ``P_k`` of the first k, ``W = sum_{k<C} |P_k - k/C| / C``, in [0, (C - 1) / (2C)]: how far an
    object has to move down the ranking on average, as a share of its length, until all classes
    have the same count. The ranking is made from the counts themselves, so no two terms of the sum
    have different signs, and ``W`` is exactly half the Gini coefficient.

    Args:
        counts: (C,), >= 0.
    """
    cumulative = np.cumsum(shares(np.sort(counts)[::-1]))
    return float(np.abs(cumulative - np.arange(1, len(counts) + 1) / len(counts)).mean())


def misplaced_share(counts: np.ndarray) -> float:
    """Share of the objects that would have to be of another class, for equal counts.

    ``sum_c |p_c - 1/C| / 2``, the total variation distance, in [0, 1 - 1/C]. It is the Wasserstein
    distance if all classes are equally far from each other, and unlike that along the ranking says
    something that the Gini coefficient does not.

    Args:
        counts: (..., C), >= 0.

    Returns:
        A number, or (...,) for several rows of counts.
    """
    share = shares(counts)
    return np.abs(share - 1 / share.shape[-1]).sum(-1) / 2
