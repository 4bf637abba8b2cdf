"""Forest R-CNN: classifiers of coarser classes say how much each class is trusted.

Shapes: N samples, C foreground classes, label C is background; T trees, P_t parents in tree t, the
background not counted.
"""
from collections.abc import Sequence
from os import PathLike

import torch
import torch.nn.functional as F
from bacl.annotations import ClassTable
from bacl.annotations.class_trees import check_class_trees, read_class_trees
from bacl.ops import promoted
from mmdet.registry import MODELS
from torch import Tensor

from .base import LongTailLoss


def forest_scores(logits: Tensor, parent_logits: Sequence[Tensor], parents: Tensor) -> Tensor:
    """Probabilities of the classes, weighted by the mean probability of their parents.

    With a the logits of the classes, and b^t those of the parents pi_t(c) in tree t::

        q_c = 1/T sum_t softmax(b^t)_{pi_t(c)}
        p_c = q_c exp(a_c) / sum_k q_k exp(a_k)

    Args:
        logits: (N, C + 1), background last.
        parent_logits: T of (N, P_t + 1), background last.
        parents: (T, C + 1), int64, parent of each class; the last column is the background.

    Returns:
        (N, C + 1); without trees, or if q is the same for all classes, softmax(a).
    """
    if len(parent_logits):
        log_probs = [b.log_softmax(dim=1).index_select(1, tree)
                     for b, tree in zip(parent_logits, parents, strict=True)]
        logits = logits + torch.stack(log_probs).logsumexp(dim=0)
    return logits.softmax(dim=1)


@MODELS.register_module()
class ForestLoss(LongTailLoss):
    """Cross entropy of the classes and of their parents in each of T trees, for Forest R-CNN.

    The sum of T + 1 softmax losses, of the same labels and weights. Scores are those of
    :func:`forest_scores`. The channels are those of the C + 1 classes, then those of the P_t + 1
    parents of each tree, backgrounds last.

    The trees come from ``tools/dataset_tools/build_class_trees.py``. The classifier was trained
    with them, so those of the checkpoint (buffer ``parents``, (T, C + 1), int64) are used rather
    than a file, which a test does not need. Trees in the config itself hold in any case. The
    predictor of the head has to be a :class:`~bacl.models.predictors.ForestLinear` with the same
    ``num_parents``; other heads are refused.

    Args:
        num_classes: C; see :class:`LongTailLoss`.
        num_parents: P_t of each tree, > 0, without background (25, 50, 108 in the paper).
        trees: T lists of the parent, in [0, P_t), of each class, or a path or URL of a file of
            them; read when they are needed.
        **kwargs: of :class:`LongTailLoss`.

    Raises:
        ValueError: if an argument is out of its range.

    Reference:
        Wu et al., "Forest R-CNN: Large-Vocabulary Long-Tailed Object Detection and Instance
        Segmentation", ACM MM 2020.
    """

    starts_empty = ('parents',)  # a checkpoint of another loss has none

    def __init__(self, num_classes: int | None = None, *, num_parents: Sequence[int],
                 trees: Sequence[Sequence[int]] | str | PathLike, **kwargs) -> None:
        super().__init__(num_classes, **kwargs)
        self.num_parents = self.check('num_parents', tuple(num_parents), 'ints > 0',
                                      lambda v: all(isinstance(p, int) and p > 0 for p in v))
        self.trees = trees
        self.extra_channels = 1 + sum(self.num_parents) + len(self.num_parents)
        # In Python, not a buffer: asking a device in every step would be a host synchronisation.
        self.has_trees = False

    @property
    def is_configured(self) -> bool:
        """Whether the config has the trees themselves."""
        return not isinstance(self.trees, str | PathLike)

    def init_state(self) -> None:
        """Make room for the trees."""
        self.register_buffer('parents', torch.full(
            (len(self.num_parents), self.num_classes + 1), -1, dtype=torch.int64))
        if self.is_configured:
            check_class_trees(self.trees, self.num_classes, self.num_parents, 'ForestLoss(trees=)')
            self._take(self.trees)

    def _take(self, trees: Sequence[Sequence[int]]) -> None:
        trees = torch.as_tensor(trees, dtype=torch.int64, device='cpu')
        background = torch.tensor(self.num_parents, dtype=torch.int64, device='cpu')
        trees = trees.reshape(len(self.num_parents), self.num_classes)
        self.parents.copy_(torch.cat([trees, background[:, None]], dim=1))
        self.has_trees = True

    def set_class_counts(self, table: ClassTable) -> None:
        """Read the trees before training, in which an error would come late."""
        self.known_parents()

    def known_parents(self) -> Tensor:
        """(T, C + 1), int64: parent of each class and of the background.

        Raises:
            FileNotFoundError: if there is neither a file nor a checkpoint with trees.
            ValueError: if the file has trees of other classes or with other parents.
        """
        if not self.has_trees:
            self._take(read_class_trees(self.trees, self.num_classes, self.num_parents))
        return self.parents

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args) -> None:
        if self.is_configured:
            state_dict = {**state_dict, f'{prefix}parents': self.parents}
        super()._load_from_state_dict(state_dict, prefix, *args)
        self.has_trees = bool((self.parents >= 0).all())

    def split(self, logits: Tensor) -> tuple[Tensor, ...]:
        """Logits of the classes, then of the parents of each tree; backgrounds last."""
        return logits.split([self.num_classes + 1, *(p + 1 for p in self.num_parents)], dim=1)

    def get_activation(self, cls_score: Tensor) -> Tensor:
        """(N, channels) logits to (N, C + 1) scores; see :func:`forest_scores`."""
        logits, *parent_logits = self.split(promoted(cls_score))
        return forest_scores(logits, parent_logits, self.known_parents())

    def elementwise(self, logits: Tensor, labels: Tensor) -> Tensor:
        """(N, T + 1): cross entropy of the classes, and of the parents of each tree."""
        targets = [labels, *(tree[labels] for tree in self.known_parents())]
        return torch.stack([F.cross_entropy(part, target, reduction='none') for part, target in zip(
            self.split(logits), targets, strict=True)], dim=1)
