import bacl  # noqa: F401
import pytest
import torch
import torch.nn.functional as F
from bacl.models.predictors import CosineLinear, cosines
from hypothesis import given
from hypothesis import strategies as st


def loaded(layer, **parameters):
    """The layer in float64 with the given parameters."""
    for name, value in parameters.items():
        getattr(layer, name).data = value.double().reshape(getattr(layer, name).shape)
    return layer.double()


@pytest.mark.golden('disalign_cosine.npz')
@pytest.mark.parametrize('dtype, rtol', [(torch.float64, 1e-9), (torch.float32, 1e-4)])
def test_equals_the_official_layer_of_disalign(golden, dtype, rtol):
    out_features, in_features = golden['cls_weight'].shape
    layer = loaded(CosineLinear(in_features, out_features), weight=golden['cls_weight'],
                   scale=golden['scale']).to(dtype)
    feats = golden['features'].to(dtype).requires_grad_()
    logits = layer(feats)
    loss = F.cross_entropy(logits, golden['labels'])
    loss.backward()
    for ours, theirs in ((logits, 'logits'), (loss, 'loss'), (feats.grad, 'grad_features'),
                         (layer.weight.grad, 'grad_weight'), (layer.scale.grad, 'grad_scale')):
        theirs = golden[f'stage1_{theirs}'].to(dtype)
        torch.testing.assert_close(ours.detach(), theirs, rtol=rtol, atol=rtol * theirs.abs().max())
    assert torch.equal(layer(torch.zeros(1, in_features, dtype=dtype)),
                       golden['zero_row_logits'].to(dtype))
    assert CosineLinear(1, 1).scale.item() == golden['scale_init']


@pytest.mark.golden('rio.npz')
def test_equals_the_layer_of_rio(golden):
    out_features, in_features = golden['cls_v'].shape
    layer = loaded(
        CosineLinear(in_features, out_features, float(golden['scale']), learns_scale=False,
                     with_gain=True, eps=float(golden['eps'])),
        weight=golden['cls_v'], gain=golden['cls_g'])
    feats = golden['features'][0].requires_grad_()  # step 0: the memory is empty
    logits = layer(feats)
    loss = F.cross_entropy(logits, golden['labels'][0])
    loss.backward()
    for ours, theirs in ((logits, golden['logits_0']), (loss, golden['loss_cls'][0]),
                         (logits.softmax(1), golden['scores_0']),
                         (layer.weight.grad, golden['grad_cls_v'][0]),
                         (layer.gain.grad, golden['grad_cls_g'][0]),
                         (feats.grad, golden['grad_features'][0])):
        torch.testing.assert_close(ours.detach(), theirs, rtol=1e-9, atol=1e-13)


def test_by_hand():
    # Cosines of 60 and 180 degrees.
    feats = torch.tensor([[1.0, 3 ** 0.5], [2.0, 0.0]])
    weight = torch.tensor([[7.0, 0.0], [-0.1, 0.0]])
    torch.testing.assert_close(cosines(feats, weight, 1e-12),
                               torch.tensor([[0.5, -0.5], [1.0, -1.0]]))
    layer = CosineLinear(2, 2, scale=48, learns_scale=False, with_gain=True)
    layer.weight.data, layer.gain.data = weight, torch.tensor([1.0, 0.5])
    torch.testing.assert_close(layer(feats), torch.tensor([[24.0, -12.0], [48.0, -24.0]]))


@given(factor=st.floats(0.1, 1e3), row=st.floats(0.1, 1e3))
def test_lengths_of_features_and_weights_do_not_matter(factor, row):
    feats, weight = torch.eye(3, dtype=torch.float64) + 0.1, torch.ones(2, 3, dtype=torch.float64)
    weight[0, 0] = -2
    torch.testing.assert_close(cosines(factor * feats, row * weight, 1e-12),
                               cosines(feats, weight, 1e-12))


def test_gains_start_as_norms_and_are_bounded_by_the_initialisation():
    torch.manual_seed(0)
    layer = CosineLinear(1024, 50, with_gain=True)
    layer.weight.data.fill_(3)
    layer.init_weights()
    torch.testing.assert_close(layer.gain.data, layer.weight.data.norm(dim=1))
    assert layer.gain.mean().item() == pytest.approx(3 ** -0.5, rel=0.01)


def test_parameters_are_those_asked_for():
    def names(**kwargs):
        return {name for name, _ in CosineLinear(3, 4, **kwargs).named_parameters()}

    assert names() == {'weight', 'scale'}
    assert names(learns_scale=False) == {'weight'}
    assert names(with_gain=True) == {'weight', 'scale', 'gain'}


@pytest.mark.parametrize('kwargs', [dict(scale=0.0), dict(eps=0.0)])
def test_arguments_out_of_range_are_named(kwargs):
    with pytest.raises(ValueError, match=f'CosineLinear.{next(iter(kwargs))}='):
        CosineLinear(3, 4, **kwargs)
