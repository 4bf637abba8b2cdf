"""The frequency of each category, and the images that it is in."""
import numpy as np

MAX_RARE = 10  # images of a rare category in LVIS, at most
MAX_COMMON = 100


def long_tailed_image_counts(num_rare: int, num_common: int, num_frequent: int) -> np.ndarray:
    """Image counts that fall exponentially and split into groups of given sizes.

    Over the common categories the count falls from 100 to 10, and it keeps this rate on both sides.
    The category of rank k (0 is the most frequent) has ::

        100 * 10 ** ((num_frequent - k - 0.5) / num_common)

    images, rounded and, where rounding would cross a border of the groups, set to the border.

    Args:
        num_rare: categories with 1 to 10 images.
        num_common: categories with 11 to 100 images, at least 1.
        num_frequent: categories with more than 100 images.

    Returns:
        (num_rare + num_common + num_frequent,), int64, falling.

    Example:
        >>> long_tailed_image_counts(2, 2, 1).tolist()
        [178, 56, 18, 6, 2]
    """
    rank = np.arange(num_frequent + num_common + num_rare)
    counts = np.rint(100 * 10**((num_frequent - rank - 0.5) / num_common)).astype(np.int64)
    frequent, common, rare = np.split(counts, [num_frequent, num_frequent + num_common])
    return np.concatenate([np.maximum(frequent, MAX_COMMON + 1),
                           np.clip(common, MAX_RARE + 1, MAX_COMMON),
                           np.clip(rare, 1, MAX_RARE)])


def frequency_group(image_count: int) -> str:
    """LVIS's group of a category: 'r' up to 10 training images, 'c' up to 100, 'f' above."""
    if image_count <= MAX_RARE:
        return 'r'
    return 'c' if image_count <= MAX_COMMON else 'f'


def assign_to_images(image_counts: np.ndarray, num_images: int,
                     rng: np.random.Generator) -> list[list[int]]:
    """Distribute categories over images.

    Every category goes to the images that lack most towards their own, random number of categories.
    Noise makes the company that a category is in random.

    Args:
        image_counts: (C,), number of different images per category, at most ``num_images``.
        num_images: number of images.
        rng: draws the number of categories of an image, and the noise.

    Returns:
        The categories of every image, as positions in ``image_counts``.
    """
    # In categories: images get up to 3 more or fewer than the mean.
    load = 6 * rng.random(num_images)
    categories: list[list[int]] = [[] for _ in range(num_images)]
    for category in rng.permutation(len(image_counts)):
        keys = load + 4 * rng.random(num_images)
        for image in np.argsort(keys, kind='stable')[:image_counts[category]]:
            categories[image].append(int(category))
            load[image] += 1
    return categories
