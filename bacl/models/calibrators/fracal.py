"""FRACAL: a prior of the classes, and how evenly their objects fill the images."""
from collections.abc import Sequence
from math import log
from os import PathLike

import torch
from bacl.annotations.fractal_dimension import read_location_statistics
from mmdet.registry import MODELS
from torch import Tensor

from .base import LogitCalibrator, ProbabilityCalibrator, Strength


class _LocationStatistics:
    """Knowledge of the classes that both forms of FRACAL have.

    Args:
        num_classes: C, > 0.
        lambda_: strength of the dimension, >= 0; 0 leaves the prior alone.
        ann_file: training annotations with C categories in label order, read on first use.
        image_share: instead of the file: share of the training images that have the class, C
            numbers > 0.
        dimension: beside it: fractal dimension of each class, C numbers >= 1.
    """

    default_sweep = 'lambda_=0:4:0.5'
    lambda_ = Strength()

    def __init__(self, num_classes: int, lambda_: float = 2.0,
                 ann_file: str | PathLike | None = None,
                 image_share: Sequence[float] | None = None,
                 dimension: Sequence[float] | None = None) -> None:
        super().__init__(num_classes)
        self.lambda_ = lambda_
        self.ann_file = ann_file
        values = (image_share, dimension)
        if [value is None for value in values] != [ann_file is not None] * 2:
            raise ValueError(
                f'{type(self).__name__} has no counts and box centres: it expects '
                'ann_file=..., the training annotations, or else image_share=[...] and '
                'dimension=[...].')
        self._statistics = None if ann_file is not None else (
            self.per_class('image_share', image_share, lowest=1e-12),
            self.per_class('dimension', dimension, lowest=1))

    def statistics(self) -> tuple[Tensor, Tensor]:
        """Image share and fractal dimension of each class: (C,), on the CPU."""
        if self._statistics is None:
            share, dimension = read_location_statistics(self.ann_file)
            self._statistics = (self.per_class('ann_file', share, lowest=1e-12),
                                self.per_class('ann_file', dimension, lowest=1))
        return self._statistics

    def shift(self, share: Tensor) -> Tensor:
        """-log10(C f_c): positive for a class in fewer images than if all had equal shares."""
        return -(self.num_classes * share).log10()


@MODELS.register_module()
class FRACAL(_LocationStatistics, ProbabilityCalibrator):
    """Fractal calibration of a softmax classifier.

    With the share f_c of the training images that have class c and the box-counting dimension D_c
    of its box centres; see :func:`~bacl.annotations.fractal_dimension.box_counting_dimension`::

        w_c = -log10(C f_c),    p'_c ~ exp(z_c + w_c) / D_c^lambda,    p'_bg ~ exp(z_bg)

    and rows divided by their sum. The logarithm of base 10 is added to natural logits: so it is in
    the published setting, with lambda 2. The shares are of all images, so that w shifts objects
    against the background, too.

    Args:
        num_classes: C, > 0.
        lambda_: strength of the dimension, >= 0; 0 leaves the prior alone.
        ann_file: training annotations with C categories in label order, read on first use.
        image_share: instead of the file, C numbers > 0.
        dimension: beside it, C numbers >= 1.

    Raises:
        ValueError: if there is neither a file nor both lists.

    Reference:
        Alexandridis et al., "Fractal Calibration for Long-tailed Object Detection", CVPR 2025.
    """

    def log_factor(self) -> Tensor:
        """w_c - lambda log D_c."""
        share, dimension = self.statistics()
        return self.shift(share) - self.lambda_ * dimension.log()


@MODELS.register_module()
class SigmoidFRACAL(_LocationStatistics, LogitCalibrator):
    """Fractal calibration of a sigmoid classifier: a product of two sigmoids.

    With the numbers of :class:`FRACAL`::

        p'_c = sigmoid(z_c) sigmoid(z_c + w_c - log10(C D_c^lambda / sum_j D_j^lambda))

    An objectness channel stays as it is. The product of two is as small as the square of one: a
    ``score_thr`` of 1e-4 becomes one of 1e-8.

    Args:
        *args: of :class:`FRACAL`.
        **kwargs: of the same.
    """

    activation = 'sigmoid'

    def calibrate_classes(self, logits: Tensor) -> Tensor:
        """The logits whose sigmoid is the product."""
        share, dimension = self.statistics()
        log_power = self.lambda_ * dimension.log()
        location = (log_power - log_power.logsumexp(0)) / log(10) + log(self.num_classes, 10)
        second = logits + (self.shift(share) - location).to(logits)
        # Of s = ab: log s - log(1 - s), and 1 - ab = (1 - a) + a (1 - b), which loses no digits.
        log_sigmoid = torch.nn.functional.logsigmoid
        log_product = log_sigmoid(logits) + log_sigmoid(second)
        log_rest = torch.logaddexp(log_sigmoid(-logits),
                                   log_sigmoid(logits) + log_sigmoid(-second))
        return log_product - log_rest
