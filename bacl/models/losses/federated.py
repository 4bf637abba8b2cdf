"""Federated loss: in every step only some classes are negatives, the frequent ones more often."""
import torch
import torch.nn.functional as F
from mmdet.registry import MODELS
from torch import Tensor

from .base import without_weightless
from .counted import CountedLoss
from .fcbl import NO_LOGIT
from .sigmoid_bce import SigmoidBCELoss


def select_classes(is_present: Tensor, frequency_weight: Tensor, num_selected: int,
                   exponential: Tensor) -> Tensor:
    """Classes of a step: those present, and others drawn until there are enough.

    The others are drawn without replacement with the probabilities ``frequency_weight``: the
    largest of weight / q with exponentially distributed q are such a draw. A class of weight 0 is
    never drawn. The background is one of the ``num_selected`` where it is present.

    Args:
        is_present: (C + 1,), bool, which labels occur; the last one is background.
        frequency_weight: (C,), >= 0.
        num_selected: how many are selected, unless more are present: then those.
        exponential: (C,), > 0, draws from the exponential distribution of rate 1.

    Returns:
        (C,), bool.
    """
    key = F.pad(frequency_weight / exponential, (0, 1)).masked_fill(is_present, torch.inf)
    value, index = key.topk(min(num_selected, len(key)))
    return is_present.index_put((index,), value > 0)[:-1]


@MODELS.register_module()
class FederatedLoss(CountedLoss, SigmoidBCELoss):
    """Sigmoid loss over the classes of the step, :func:`select_classes`; the others cost nothing.

    In LVIS an image is annotated for some classes only, so that a negative of any other may be
    none; and as frequent classes are drawn more often, rare ones are suppressed less. The classes
    are drawn anew in every step, on each rank for itself, with probabilities proportional to a
    power of their image counts. In ``eval()`` nothing is drawn and all classes count.

    The classifier's bias has to start at the prior probability 0.001; see
    :class:`SigmoidBCELoss`.

    Args:
        num_classes: C; see :class:`LongTailLoss`.
        num_selected: classes of a step, the background among them where it is present, > 0 (50 in
            CenterNet2 and Detic).
        power: exponent of the image counts, >= 0 (0.5 there); 0 draws all classes alike, also
            those without images.
        **kwargs: of :class:`CountedLoss`.

    Raises:
        ValueError: if an argument is out of its range.

    Reference:
        Zhou et al., "Probabilistic Two-stage Detection", arXiv:2103.07461. The softmax form of its
        code is the plain softmax loss: the mask weighs only the label of each sample.
    """

    def __init__(self, num_classes: int | None = None, num_selected: int = 50, power: float = 0.5,
                 **kwargs) -> None:
        super().__init__(num_classes, **kwargs)
        self.num_selected = self.check('num_selected', num_selected, 'a positive int',
                                       lambda v: isinstance(v, int) and v > 0)
        self.power = self.check('power', power, 'a number >= 0', lambda v: v >= 0)

    def sample_losses(self, logits: Tensor, labels: Tensor, weight: Tensor | None) -> Tensor:
        """See :meth:`LongTailLoss.sample_losses`."""
        if self.training:
            # The logit of a class that is not selected, a negative, becomes one of no loss.
            logits = torch.where(self.select(labels, weight), logits, NO_LOGIT)
        return super().sample_losses(logits, labels, weight)

    def select(self, labels: Tensor, weight: Tensor | None) -> Tensor:
        """(C,), bool: draw the classes of a step; samples of weight 0 do not make one present."""
        frequency_weight = self.known_counts().float() ** self.power
        # The place after the background takes the samples that are none.
        place = without_weightless(labels, weight, self.num_classes + 1)
        is_present = torch.zeros(self.num_classes + 2, dtype=torch.bool, device=labels.device)
        is_present = is_present.index_fill(0, place, True)[:-1]
        return select_classes(is_present, frequency_weight, self.num_selected,
                              torch.empty_like(frequency_weight).exponential_())
