"""Focal loss over the classes of a step, for the heads of DETRs."""
import torch
from mmdet.registry import MODELS
from torch import Tensor

from .base import one_hot_targets, without_weightless
from .federated import FederatedLoss, select_classes
from .sigmoid_bce import sigmoid_bce_loss


@MODELS.register_module()
class FederatedFocalLoss(FederatedLoss):
    """Sigmoid focal loss that counts some classes of each call, :func:`.federated.select_classes`.

    With p_t the probability of what is right and a_t = alpha for positives, 1 - alpha for others::

        L = sum over selected classes of a_t (1 - p_t) ** gamma * -log(p_t)

    Classes are drawn anew in every call: for each layer of a decoder and its denoising part. The
    background, which in a DETR is always present, is none of the selected.

    In the head of a DETR, or another dense head, ``use_sigmoid=True`` and ``num_classes`` have to
    be in the config of the loss; see :class:`.EqualizedFocalLoss`. In a box head leave both out.

    Args:
        num_classes: C; see :class:`.LongTailLoss`.
        gamma: focusing, >= 1.
        alpha: weight of positives, in [0, 1].
        use_sigmoid: True in a dense head; see above.
        **kwargs: of :class:`.FederatedLoss`.

    Raises:
        ValueError: if an argument is out of its range.

    Reference:
        Meng et al., "Learning from Rich Semantics and Coarse Locations for Long-tailed Object
        Detection", NeurIPS 2023 (RichSem); Lin et al., "Focal Loss for Dense Object Detection",
        ICCV 2017.
    """

    use_sigmoid = False

    def __init__(self, num_classes: int | None = None, gamma: float = 2.0, alpha: float = 0.25,
                 use_sigmoid: bool = False, **kwargs) -> None:
        super().__init__(num_classes, **kwargs)
        self.gamma = self.check('gamma', gamma, 'a number >= 1', lambda v: v >= 1)
        self.alpha = self.check('alpha', alpha, 'a number in [0, 1]', lambda v: 0 <= v <= 1)
        self.use_sigmoid = use_sigmoid
        if use_sigmoid:
            self.serve_dense_head()

    def elementwise(self, logits: Tensor, labels: Tensor) -> Tensor:
        """(N, C), see above, of all classes."""
        entropy = sigmoid_bce_loss(logits, labels)
        is_label = one_hot_targets(labels, logits.new_empty(
            len(logits), self.num_classes + 1))[:, :-1]
        alpha = self.alpha * is_label + (1 - self.alpha) * (1 - is_label)
        return alpha * (-torch.expm1(-entropy)) ** self.gamma * entropy

    def select(self, labels: Tensor, weight: Tensor | None) -> Tensor:
        """(C,), bool: draw the classes of a call; samples of weight 0 do not make one present."""
        frequency_weight = self.known_counts().float() ** self.power
        # Background, and with it samples that are none, is the last place.
        place = without_weightless(labels, weight, self.num_classes)
        is_present = torch.zeros(self.num_classes + 1, dtype=torch.bool, device=labels.device)
        is_present = is_present.index_fill(0, place, True)
        is_present[-1] = False
        return select_classes(is_present, frequency_weight, self.num_selected,
                              torch.empty_like(frequency_weight).exponential_())
