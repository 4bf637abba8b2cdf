import bacl  # noqa: F401
import pytest
import torch
from bacl.models.losses import FederatedFocalLoss, select_classes
from mmdet.models.losses import FocalLoss

C = 3


def matched(golden):
    """Logits of all queries of the last layer, and their labels; C is none."""
    num_classes = int(golden['num_classes'])
    logits = golden['cls_logits'][-1].clone().requires_grad_()
    labels = torch.full(logits.shape[:2], num_classes, dtype=torch.long)
    image, query, gt = (golden[f'matched_{name}'] for name in ('image', 'query', 'gt'))
    labels[image, query] = golden['gt_labels'][gt].long()
    return logits, labels


def build(golden, num_selected):
    return FederatedFocalLoss(
        int(golden['num_classes']), gamma=float(golden['focal_gamma']),
        alpha=float(golden['focal_alpha']), num_selected=num_selected, use_sigmoid=True,
        counts=golden['image_count'].tolist())


@pytest.mark.golden('richsem.npz')
@pytest.mark.parametrize('kind', ['full', 'fed'])
def test_loss_and_gradient_are_the_official_ones(golden, kind, monkeypatch):
    logits, labels = matched(golden)
    loss = build(golden, int(golden['num_sample_cats']))
    if kind == 'full':
        loss.eval()
    else:
        selected = golden['fed_selected_mask'].bool()
        monkeypatch.setattr(loss, 'select', lambda *args: selected)
    value = loss(logits.flatten(0, 1), labels.flatten(), torch.ones(labels.numel()),
                 avg_factor=golden['num_boxes'])
    torch.testing.assert_close(value, golden[f'{kind}_focal_loss'], rtol=1e-9, atol=0)
    value.backward()
    torch.testing.assert_close(logits.grad, golden[f'{kind}_grad_cls_logits'], rtol=1e-9,
                               atol=1e-12)


@pytest.mark.golden('richsem.npz')
@pytest.mark.parametrize('kind', ['fed', 'empty'])
def test_selected_classes_are_the_official_ones(golden, kind):
    is_present = torch.zeros(int(golden['num_classes']) + 1, dtype=torch.bool)
    if kind == 'fed':
        is_present[golden['gt_labels'].long()] = True
    selected = select_classes(is_present, golden['image_count'].double() ** 0.5,
                              int(golden['num_sample_cats']), golden[f'{kind}_exponential'])
    assert torch.equal(selected, golden[f'{kind}_selected_mask'].bool())


def test_the_background_is_none_of_the_selected():
    loss = FederatedFocalLoss(C, num_selected=2, counts=[5, 5, 5])
    labels = torch.tensor([C, C, 0, 1])
    assert loss.select(labels, None).tolist() == [True, True, False]
    assert loss.select(labels, torch.tensor([1., 1, 1, 0])).sum() == 2  # one is drawn


def test_with_all_classes_it_is_the_focal_loss():
    loss = FederatedFocalLoss(C, num_selected=C, counts=[1, 1, 1])
    logits = torch.randn(6, C, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 1, 2, C, C, 0])
    theirs = FocalLoss(gamma=2.0, alpha=0.25)(logits, labels, torch.ones(6), avg_factor=4)
    torch.testing.assert_close(loss(logits, labels, torch.ones(6), avg_factor=4), theirs)


@pytest.mark.parametrize('kwargs', [dict(gamma=0.5), dict(alpha=2), dict(
    use_sigmoid=True, num_classes=None)])
def test_arguments_are_checked(kwargs):
    name = 'num_classes' if 'num_classes' in kwargs else next(iter(kwargs))
    with pytest.raises(ValueError, match=f'{name}='):
        FederatedFocalLoss(**{'num_classes': C, **kwargs})
