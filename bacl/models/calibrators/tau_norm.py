"""tau-normalisation of the classifier's weights, as a function of its logits."""
from collections.abc import Sequence

from mmdet.registry import MODELS
from torch import Tensor, nn

from .base import LogitCalibrator, Strength


def row_norms(weight: Tensor) -> Tensor:
    """L2 norm of each row of a weight matrix (channels, D): (channels,)."""
    return weight.flatten(1).norm(dim=1)


@MODELS.register_module()
class TauNorm(LogitCalibrator):
    """Divides the weights of each class by a power of their norm.

    Of a linear classifier z_c = w_c x + b_c this is a function of its logits::

        z'_c = w_c x / |w_c|^tau + b_c = (z_c - b_c) / |w_c|^tau + b_c

    The bias stays, and so does the row of the background; the original, a classifier of images
    without background, has no bias. tau = 0 changes nothing.

    Args:
        num_classes: C, > 0.
        tau: strength, in [0, 1] mostly.

    Reference:
        Kang et al., "Decoupling Representation and Classifier for Long-Tailed Recognition", ICLR
        2020, Section 4.
    """

    default_sweep = 'tau=0:1:0.1'
    tau = Strength()

    def __init__(self, num_classes: int, tau: float) -> None:
        super().__init__(num_classes)
        self.tau = tau
        self._classifier: tuple[nn.Linear, ...] = ()  # a tuple: it is no module of this one

    def set_classifiers(self, classifiers: Sequence[nn.Module]) -> None:
        """Called once by the RoI head, with the last layer of each of its box heads.

        Raises:
            ValueError: if there is not one, or it is not linear: the logits of a cascade are means
                over classifiers with weights of their own.
        """
        types = [type(classifier).__name__ for classifier in classifiers]
        if types != ['Linear']:
            raise ValueError(f'TauNorm expects a box head with one linear classifier, got {types}. '
                             'Use a RoI head that is no cascade, with the default '
                             'cls_predictor_cfg, or another calibrator.')
        self._classifier = tuple(classifiers)

    def calibrate_classes(self, logits: Tensor) -> Tensor:
        """(z - b) / |w|^tau + b."""
        (classifier,) = self._classifier
        norm = row_norms(classifier.weight)[:self.num_classes].to(logits)
        bias = 0 if classifier.bias is None else classifier.bias[:self.num_classes].to(logits)
        return (logits - bias) / norm**self.tau + bias
