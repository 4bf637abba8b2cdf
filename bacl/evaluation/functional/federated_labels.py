"""The detections that LVIS has labels for: it looked for few of its categories in each image."""
from collections.abc import Iterable, Mapping
from itertools import chain

import numpy as np

from .ground_truth import GroundTruth


class FederatedLabels:
    """The labels of LVIS: what is known of each pair of image and category.

    Args:
        images: per id the record of an image, with ``neg_category_ids`` and
            ``not_exhaustive_category_ids``.
        category_ids: of the annotations.
        ground_truth: the annotated objects, of these images and categories.
    """

    def __init__(self, images: Mapping[int, dict], category_ids: Iterable[int],
                 ground_truth: GroundTruth) -> None:
        self._images = images
        # Pairs are compared as one number: rank of the image, then rank of the category.
        self._image_ids = np.array(sorted(images), dtype=np.int64)
        self._category_ids = np.array(sorted(category_ids), dtype=np.int64)
        self._annotated = self._keys(ground_truth.image_id, ground_truth.category_id)

    def is_labelled(self, image_id: np.ndarray, category_id: np.ndarray) -> np.ndarray:
        """Mark pairs of which it is known if the category is in the image.

        Args:
            image_id: (N,), int64, among ``images``.
            category_id: (N,), int64, among ``category_ids``.

        Returns:
            (N,), bool: the category is annotated there or known to be absent.
        """
        return np.isin(self._keys(image_id, category_id), self.labelled_pairs())

    def labelled_pairs(self) -> np.ndarray:
        """All pairs that are known: (L,), int64, rising.

        A pair is a number: ``rank of the image * C + rank of the category``, by rising id.
        """
        return np.unique(np.concatenate([self._annotated, self._listed('neg_category_ids')]))

    def is_not_exhaustive(self, image_id: np.ndarray, category_id: np.ndarray) -> np.ndarray:
        """Mark pairs whose image may show more of the category than is annotated; see above."""
        return np.isin(self._keys(image_id, category_id),
                       self._listed('not_exhaustive_category_ids'))

    def _listed(self, field: str) -> np.ndarray:
        lists = [self._images[image_id][field] for image_id in self._image_ids.tolist()]
        image_ids = np.repeat(self._image_ids, [len(entry) for entry in lists])
        category_ids = np.fromiter(chain.from_iterable(lists), dtype=np.int64)
        # A list may name categories that the file does not have.
        known = np.isin(category_ids, self._category_ids)
        return self._keys(image_ids[known], category_ids[known])

    def _keys(self, image_id: np.ndarray, category_id: np.ndarray) -> np.ndarray:
        return (np.searchsorted(self._image_ids, image_id) * len(self._category_ids)
                + np.searchsorted(self._category_ids, category_id))
