"""The mean classification score as long-term indicator (Table II)."""
import torch
from mmdet.registry import MODELS
from torch import Tensor

from .class_sums import add_class_sums
from .per_class import PerClassScore

# The paper names no initial value; this is that of LOCE, which the indicator comes from. Equal
# for all classes and above the floor of the ratios, it means no margin at the start.
INITIAL_SCORE = 0.01


@MODELS.register_module()
class MeanClassificationScore(PerClassScore):
    """Moving average of the score that samples give to their true class.

    With p = sigmoid(z) (Eq. 4) and p_i^t the mean of p_i over the samples of class i in step t, on
    all ranks::

        s_i <- gamma * s_i + (1 - gamma) * p_i^t

    A step moves a class once, however many samples of it there are: those of one step count alike,
    whatever their order, and hundreds of RoIs of one object do not erase what was known. How
    samples are split into steps matters. Classes absent from a step keep their score; one never
    seen has the initial 0.01. ``gamma`` weighs the *old* value, as in the paper.

    In Eq. (7) l_i = s_i, clamped at 1e-3 from below; in Eq. (12) l_i = s_i.

    Args:
        num_classes: C, > 0.
        gamma: weight of the old score, in [0, 1) (0.9 in the paper).

    Raises:
        ValueError: if ``gamma`` is out of its range.

    Reference:
        Qi et al., "Balanced Classification", IEEE TMM 2023, Table II, Eq. (7) and (12); Feng et
        al., "Exploring Classification Equilibrium in Long-Tailed Object Detection", ICCV 2021.
    """

    def __init__(self, num_classes: int, gamma: float = 0.9) -> None:
        super().__init__(num_classes)
        if not 0 <= gamma < 1:
            raise ValueError('MeanClassificationScore(gamma=) expects a number in [0, 1), '
                             f'got {gamma!r}.')
        self.gamma = gamma
        self.register_buffer('mean_score',
                             torch.full((num_classes,), INITIAL_SCORE, dtype=torch.float64))

    @torch.no_grad()
    def observe(self, logits: Tensor, labels: Tensor) -> None:
        """See :meth:`LongTermIndicator.observe`."""
        true_score = logits.gather(1, labels[:, None]).to(self.mean_score.dtype).sigmoid()
        score_sum, num_samples = self.mean_score.new_zeros(2, self.num_classes)
        add_class_sums(score_sum[:, None], num_samples, true_score, labels)
        step_score = score_sum / num_samples.clamp(min=1)
        moved = self.gamma * self.mean_score + (1 - self.gamma) * step_score
        self.mean_score.copy_(torch.where(num_samples > 0, moved, self.mean_score))

    def value(self) -> Tensor:
        """(C,), s, in [0, 1]."""
        return self.mean_score.clone()

    def reset(self) -> None:
        """Forget everything observed: back to the initial score."""
        self.mean_score.fill_(INITIAL_SCORE)
