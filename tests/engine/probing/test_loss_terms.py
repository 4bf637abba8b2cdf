import bacl  # noqa: F401
import pytest
import torch
from bacl.engine.probing.loss_terms import gradient_norms, loss_terms


def test_terms_are_what_mmengine_adds_up():
    log_vars = dict(loss=3, loss_cls=1, acc=50)
    log_vars['s0.loss_bbox'] = 2
    assert loss_terms(log_vars) == {'loss_cls': 1, 's0.loss_bbox': 2}


@pytest.mark.parametrize('scale', [1.0, 512.0])
def test_norms_of_hand_made_losses(scale):
    a, b = torch.tensor([1., 2], requires_grad=True), torch.tensor([3.], requires_grad=True)
    other = torch.tensor(1., requires_grad=True)
    # Gradients (3, 0, 4 * 1), (0, 0, 0), none, and no graph.
    terms = [3 * a[0] + 4 * b.sum(), 0 * a.sum(), other * 2, torch.tensor(5.)]
    norms = gradient_norms(terms, [a, b], scale)
    assert norms.tolist() == [5, 0, 0, 0] and norms.dtype == torch.float32
    assert a.grad is None and b.grad is None
    terms[0].backward()  # the graph is still there
    assert a.grad.tolist() == [3, 0]
