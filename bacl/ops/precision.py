"""The precision that exponentials are computed in."""
import torch
from torch import Tensor


def promoted(logits: Tensor) -> Tensor:
    """Logits in float32 at least: in half precision, exponentials of them overflow or vanish."""
    return logits.to(torch.promote_types(logits.dtype, torch.float32))
