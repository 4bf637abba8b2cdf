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
    """Moving average of the score that samples give to their true class, object by object.

    With p = sigmoid(z) (Eq. 4), or the softmax of all channels, as in LOCE, the score of an object
    is the mean of p_i over the samples that belong to it. Let a step have n_i objects of class i on
    all ranks, and let p_i^t be the mean of their scores; then::

        s_i <- gamma**n_i * s_i + (1 - gamma**n_i) * p_i^t

    So an object counts once, however many RoIs it has, and the order of the objects of a step does
    not matter; how objects are split into steps does. Classes absent from a step keep their score;
    one never seen has the initial 0.01. ``gamma`` weighs the *old* value, as in the paper.

    The RoI head says which object a sample belongs to (:meth:`set_objects`); additional samples of
    a class, such as hallucinated ones, are together one object of the rank. In a head that does not
    say it, such as mmdet's own, all samples of a class in a step are one object.

    In Eq. (7) l_i = s_i, clamped at 1e-3 from below; in Eq. (12) l_i = s_i.

    Args:
        num_classes: C, > 0.
        gamma: weight of the old score, in [0, 1) (0.9 in the paper).
        scores: 'sigmoid' or 'softmax', of what p is made.

    Raises:
        ValueError: if an argument is out of its range.

    Reference:
        Qi et al., "Balanced Classification", IEEE TMM 2023, Table II, Eq. (7) and (12); the
        objects are those of Feng et al., "Exploring Classification Equilibrium in Long-Tailed
        Object Detection", ICCV 2021, whose score it is.
    """

    def __init__(self, num_classes: int, gamma: float = 0.9, scores: str = 'sigmoid') -> None:
        super().__init__(num_classes)
        if not 0 <= gamma < 1:
            raise ValueError('MeanClassificationScore(gamma=) expects a number in [0, 1), '
                             f'got {gamma!r}.')
        if scores not in ('sigmoid', 'softmax'):
            raise ValueError("MeanClassificationScore(scores=) expects 'sigmoid' or 'softmax', "
                             f'got {scores!r}.')
        self.gamma = gamma
        self.scores = scores
        self._objects = None
        self.register_buffer('mean_score',
                             torch.full((num_classes,), INITIAL_SCORE, dtype=torch.float64))

    def set_objects(self, objects: Tensor, num_objects: int) -> None:
        """Say which object each sample of the next step belongs to.

        Args:
            objects: (N,), int64 in [0, ``num_objects``); anything for background samples.
            num_objects: an upper bound.
        """
        self._objects = objects, num_objects

    @torch.no_grad()
    def observe(self, logits: Tensor, labels: Tensor) -> None:
        """See :meth:`LongTermIndicator.observe`."""
        score = self._true_class_score(logits, labels.clamp(max=self.num_classes - 1)[:, None])
        objects, self._objects = self._objects, None
        if objects is not None:
            score, labels = self._mean_by_object(score, labels, *objects)
        score_sum, count = self.mean_score.new_zeros(2, self.num_classes)
        add_class_sums(score_sum[:, None], count, score, labels)
        num_objects = count.clamp(max=1) if objects is None else count
        decay = self.gamma ** num_objects
        self.mean_score.mul_(decay).add_((1 - decay) * score_sum / count.clamp(min=1))

    def _true_class_score(self, logits: Tensor, true_class: Tensor) -> Tensor:
        """(N, 1), in the precision of the state."""
        dtype = self.mean_score.dtype
        if self.scores == 'sigmoid':
            return logits.gather(1, true_class).to(dtype).sigmoid()
        scores = logits.softmax(dim=1, dtype=torch.promote_types(logits.dtype, torch.float32))
        return scores.gather(1, true_class).to(dtype)

    def _mean_by_object(self, score: Tensor, labels: Tensor, objects: Tensor,
                        num_objects: int) -> tuple[Tensor, Tensor]:
        """Scores (K, 1) and labels (K,) of objects; label C where no sample is in one."""
        is_foreground = (labels < self.num_classes).to(score.dtype)[:, None]
        sums = score.new_zeros(num_objects, 2).index_add_(
            0, objects, torch.cat([score * is_foreground, is_foreground], dim=1))
        object_label = labels.new_full((num_objects,), self.num_classes).scatter_reduce_(
            0, objects, labels, 'amin')
        return sums[:, :1] / sums[:, 1:].clamp(min=1), object_label

    def value(self) -> Tensor:
        """(C,), s, in [0, 1]."""
        return self.mean_score.clone()

    def reset(self) -> None:
        """Forget everything observed: back to the initial score."""
        self.mean_score.fill_(INITIAL_SCORE)
