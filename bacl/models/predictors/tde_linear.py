"""De-confound-TDE: a classifier that predicts without what momentum taught it of every feature."""
import torch
import torch.nn.functional as F
from mmdet.registry import MODELS
from mmengine.dist import all_reduce
from torch import Tensor, nn

from .base import ClassPredictor

# Added to norms, as in the official code.
EPS = 1e-9


def blocks(vectors: Tensor, num_heads: int) -> Tensor:
    """(..., D) to (..., K, D / K): the part of each of K heads."""
    return vectors.unflatten(-1, (num_heads, -1))


def unit_vectors(vectors: Tensor) -> Tensor:
    """Vectors (..., D) divided by their norms; zero vectors stay zero."""
    return vectors / (vectors.norm(dim=-1, keepdim=True) + EPS)


def without_direction(feats: Tensor, direction: Tensor, alpha: float) -> Tensor:
    """Normalised features without alpha times their part in a direction.

    With u and e the features and the direction, of length one::

        u - alpha cos(u, e) e

    Args:
        feats: (N, K, D / K), of any length; zero ones give zero.
        direction: (K, D / K), of any length; zero takes nothing away.
        alpha: 0 takes nothing away, 1 leaves what is orthogonal to the direction.

    Returns:
        (N, K, D / K).
    """
    cosine = F.cosine_similarity(feats, direction, dim=-1)
    return unit_vectors(feats) - alpha * cosine[..., None] * unit_vectors(direction)


def exchange_classes(logits: Tensor, others: Tensor) -> Tensor:
    """Logits whose softmax has the background of one classifier and the classes of another.

    The softmax p' of the result has p'_bg = p_bg, and p'_c = (1 - p_bg) q_c / sum_j q_j.

    Args:
        logits: (N, C + 1), of p, background last.
        others: (N, C + 1), of q.

    Returns:
        (N, C + 1); ``logits``, if both are the same.
    """
    mass = logits[:, :-1].logsumexp(dim=1, keepdim=True)
    return torch.cat([others[:, :-1].log_softmax(dim=1) + mass, logits[:, -1:]], dim=1)


@MODELS.register_module()
class TDELinear(ClassPredictor):
    """Normalised classifier of K heads, at test time without the effect of a mean direction.

    The features are cut into K blocks; a logit is the mean of the heads, times the temperature::

        z_c = tau / K sum_k <x^k / |x^k|, w_c^k / (|w_c^k| + gamma)>

    SGD with momentum moves all features into a common direction, that of the frequent classes. It
    is followed as e <- decay e + mean of the foreground features of a step, over all ranks. At test
    time the classes are scored by the total direct effect, that is by features without alpha times
    their part in this direction, head by head; the background keeps its probability. Logits are
    returned in both modes: a plain softmax of them is the paper's score.

    The buffer ``direction`` (D,) is float64 and in the checkpoint. Only its direction matters;
    while it is zero, nothing is taken away. Steps without foreground leave it alone. ``alpha``
    acts at test time only and may be chosen after training; where no data are held out for it, the
    authors take the reciprocal of the mean cosine of features and direction.

    The loss has to be a softmax over C classes and background, the RoI head one of this package,
    which calls :meth:`observe`.

    Args:
        in_features: D, a multiple of ``num_heads``.
        out_features: C + 1.
        num_heads: K, > 0 (2 in the paper).
        temperature: tau, > 0 (16 in the paper).
        gamma: added to the norms of the weights, > 0 (1/32 in the paper).
        alpha: strength of the intervention, >= 0 (1.5 in the paper).
        decay: weight of the direction so far, in [0, 1); that of the new mean is 1 (0.9998 in the
            official code, 1 - 0.1 * 0.002).

    Raises:
        ValueError: if an argument is out of its range.

    Reference:
        Tang et al., "Long-Tailed Classification by Keeping the Good and Removing the Bad Momentum
        Causal Effect", NeurIPS 2020.
    """

    needs_background = True
    activation = 'softmax'
    starts_empty = ('direction',)  # a checkpoint of another classifier has none

    def __init__(self, in_features: int, out_features: int, num_heads: int = 2,
                 temperature: float = 16.0, gamma: float = 1 / 32, alpha: float = 1.5,
                 decay: float = 0.9998) -> None:
        super().__init__(in_features, out_features)
        for name, value, expected, is_valid in (
                ('num_heads', num_heads, f'a divisor of in_features={in_features}',
                 num_heads >= 1 and in_features % num_heads == 0),
                ('temperature', temperature, 'a number > 0', temperature > 0),
                ('gamma', gamma, 'a number > 0', gamma > 0),
                ('alpha', alpha, 'a number >= 0', alpha >= 0),
                ('decay', decay, 'a number in [0, 1)', 0 <= decay < 1)):
            if not is_valid:
                raise ValueError(f'TDELinear({name}=) expects {expected}, got {value!r}.')
        self.num_heads, self.temperature = num_heads, temperature
        self.gamma, self.alpha, self.decay = gamma, alpha, decay
        self.weight = nn.Parameter(torch.empty(out_features, in_features))
        self.register_buffer('direction', torch.zeros(in_features, dtype=torch.float64))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """See :meth:`ClassPredictor.reset_parameters`."""
        bound = self.in_features ** -0.5
        nn.init.uniform_(self.weight, -bound, bound)

    def forward(self, feats: Tensor) -> Tensor:
        """(N, D) features to (N, C + 1) logits; in ``eval()`` those of the total direct effect."""
        # EPS is zero in half precision.
        feats, weight = (blocks(x.to(torch.promote_types(x.dtype, torch.float32)), self.num_heads)
                         for x in (feats, self.weight))
        weight = weight / (weight.norm(dim=-1, keepdim=True) + self.gamma + EPS)
        logits = self._logits(unit_vectors(feats), weight)
        if self.training:
            return logits
        direction = blocks(self.direction, self.num_heads).to(feats.dtype)
        feats = without_direction(feats, direction, self.alpha)
        return exchange_classes(logits, self._logits(feats, weight))

    def _logits(self, feats: Tensor, weight: Tensor) -> Tensor:
        return self.temperature / self.num_heads * F.linear(feats.flatten(1), weight.flatten(1))

    @torch.no_grad()
    def observe(self, feats: Tensor, labels: Tensor) -> None:
        """Move the direction by the mean of the foreground features of all ranks.

        Args:
            feats: (N, D).
            labels: (N,), int64 in [0, C].
        """
        is_object = labels < self.out_features - 1
        dtype = self.direction.dtype
        sums = (feats * is_object[:, None]).sum(0, dtype=dtype)
        sums = torch.cat([sums, is_object.sum(dtype=dtype)[None]])
        all_reduce(sums)
        moved = self.decay * self.direction + sums[:-1] / sums[-1]  # not taken: 0 / 0
        self.direction.copy_(torch.where(sums[-1] > 0, moved, self.direction))
