"""The loss of soft labels."""
import torch.nn.functional as F
from bacl.ops import promoted
from torch import Tensor


def soft_label_loss(student_logits: Tensor, teacher_logits: Tensor,
                    avg_factor: float | Tensor) -> Tensor:
    """Kullback-Leibler divergence of a student's class distribution from a teacher's.

    With t and s the softmax of either's logits::

        L = sum over samples and classes of t (ln t - ln s) / avg_factor

    No gradient flows to the teacher. Without samples it is a zero with gradient.

    Args:
        student_logits: (N, C).
        teacher_logits: (N, C).
        avg_factor: divisor, > 0.

    Returns:
        A scalar >= 0.

    Reference:
        Meng et al., "Learning from Rich Semantics and Coarse Locations for Long-tailed Object
        Detection", NeurIPS 2023 (RichSem).
    """
    student = promoted(student_logits).log_softmax(dim=1)
    teacher = promoted(teacher_logits.detach()).log_softmax(dim=1)
    return F.kl_div(student, teacher, reduction='sum', log_target=True) / avg_factor
