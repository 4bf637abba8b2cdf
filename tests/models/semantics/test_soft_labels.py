import bacl  # noqa: F401
import pytest
import torch
from bacl.models.semantics import soft_label_loss


@pytest.mark.golden('richsem.npz')
def test_loss_and_gradient_are_the_official_ones(golden):
    image, query, gt = (golden[f'matched_{name}'] for name in ('image', 'query', 'gt'))
    student = golden['sem_logits'][-1].clone().requires_grad_()
    loss = soft_label_loss(student[image, query], golden['teacher_logits'][gt],
                           golden['num_boxes'])
    torch.testing.assert_close(loss, golden['soft_loss'], rtol=1e-9, atol=0)
    (golden['soft_weight'] * loss).backward()
    torch.testing.assert_close(student.grad, golden['soft_grad_sem_logits'], rtol=1e-9, atol=1e-12)


def test_equal_distributions_cost_nothing_and_none_cost_a_zero_with_gradient():
    logits = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    assert soft_label_loss(logits, logits + 2, 1).item() == pytest.approx(0, abs=1e-12)
    loss = soft_label_loss(logits[:0], logits[:0], 1)
    loss.backward()
    assert loss.item() == 0 and not logits.grad.any()


def test_the_teacher_gets_no_gradient():
    teacher = torch.randn(3, 4, requires_grad=True)
    soft_label_loss(torch.randn(3, 4, requires_grad=True), teacher, 1).backward()
    assert teacher.grad is None
