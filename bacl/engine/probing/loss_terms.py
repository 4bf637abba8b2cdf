"""Terms of a loss, and how hard each of them pulls."""
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor


def loss_terms(log_vars: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The terms of which a loss is the sum, by the rule of mmengine's ``parse_losses``.

    Args:
        log_vars: what ``parse_losses`` returned for the log: terms, their sum ``loss``, and
            accuracies.

    Returns:
        The terms, (), each by its name.
    """
    return {name: value for name, value in log_vars.items() if 'loss' in name and name != 'loss'}


def gradient_norms(terms: Sequence[Tensor], inputs: Sequence[Tensor],
                   scale: float = 1.0) -> Tensor:
    """Euclidean norms of the gradients of several losses.

    The graph stays, no ``.grad`` changes, no hook of a parameter runs, and no random number is
    drawn: a backward pass afterwards gives what it would have given.

    Args:
        terms: T losses, ().
        inputs: what the gradients are taken of, together.
        scale: of the losses during the backward pass, against underflow in float16; divided out of
            the norms.

    Returns:
        (T,), float32; 0 for a loss that does not depend on the inputs.
    """
    norms = []
    for term in terms:
        gradients = torch.autograd.grad(term * scale, inputs, retain_graph=True,
                                        allow_unused=True) if term.requires_grad else ()
        parts = [gradient.float().norm() for gradient in gradients if gradient is not None]
        norms.append(torch.stack(parts).norm() / scale if parts
                     else term.new_zeros((), dtype=torch.float32))
    return torch.stack(norms)
