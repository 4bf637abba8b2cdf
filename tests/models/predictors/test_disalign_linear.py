import bacl  # noqa: F401
import pytest
import torch
from bacl.models.losses import GRWCrossEntropyLoss
from bacl.models.predictors import (
    CosineLinear,
    DisAlignCosineLinear,
    DisAlignLinear,
    LinearPredictor,
    align_logits,
)
from hypothesis import given
from hypothesis import strategies as st

ALIGNMENT = ('logit_scale', 'logit_bias', 'confidence')
both = pytest.mark.parametrize('layer_type', [DisAlignLinear, DisAlignCosineLinear])


def official_layer(golden, layer_type):
    out_features, in_features = golden['cls_weight'].shape
    layer = layer_type(in_features, out_features).double()
    layer.weight.data = golden['cls_weight']
    if layer_type is DisAlignLinear:
        layer.bias.data = golden['cls_bias']
    else:
        layer.scale.data = golden['scale'][None]
    return layer


def align(layer, golden):
    layer.logit_scale.data, layer.logit_bias.data = golden['logit_scale'], golden['logit_bias']
    layer.confidence.weight.data = golden['conf_weight']
    layer.confidence.bias.data = golden['conf_bias']


def check_against_official_numbers(golden, layer_type):
    layer = official_layer(golden, layer_type)
    unaligned = golden['init_logits' if 'init_logits' in golden else 'base_logits']
    torch.testing.assert_close(layer(golden['features']).detach(), unaligned)
    align(layer, golden)
    for name, parameter in layer.named_parameters():
        parameter.requires_grad_(name.startswith(ALIGNMENT))
    loss_cls = GRWCrossEntropyLoss(int(golden['num_classes']), float(golden['exp_scale']),
                                   counts=golden['instance_count'].tolist())
    feats, labels = golden['features'].clone().requires_grad_(), golden['labels']
    logits = layer(feats)
    logits.retain_grad()
    loss = loss_cls(logits, labels, torch.ones(len(labels)), float(len(labels)))
    loss.backward()
    torch.testing.assert_close(layer.confidence(feats).sigmoid(), golden['confidence'])
    for ours, theirs in (
            (logits, 'logits'), (loss, 'loss'), (loss_cls.get_activation(logits), 'scores'),
            (logits.grad, 'grad_logits'), (feats.grad, 'grad_features'),
            (layer.logit_scale.grad, 'grad_logit_scale'),
            (layer.logit_bias.grad, 'grad_logit_bias'),
            (layer.confidence.weight.grad, 'grad_conf_weight'),
            (layer.confidence.bias.grad, 'grad_conf_bias')):
        torch.testing.assert_close(ours.detach(), golden[theirs], rtol=1e-9,
                                   atol=1e-9 * golden[theirs].abs().max())
    assert layer.weight.grad is None


@pytest.mark.golden('disalign.npz')
def test_linear_layer_equals_official_numbers(golden):
    check_against_official_numbers(golden, DisAlignLinear)


@pytest.mark.golden('disalign_cosine.npz')
def test_cosine_layer_equals_official_numbers(golden):
    check_against_official_numbers(golden, DisAlignCosineLinear)


@pytest.mark.golden('disalign_cosine.npz')
def test_loss_of_background_only(golden):
    layer = official_layer(golden, DisAlignCosineLinear)
    align(layer, golden)
    C = int(golden['num_classes'])
    loss = GRWCrossEntropyLoss(C, counts=golden['instance_count'].tolist())
    value = loss(layer(golden['features']), torch.full_like(golden['labels'], C))
    torch.testing.assert_close(value.detach(), golden['allbg_loss'], rtol=1e-9, atol=0)


def test_by_hand():
    # Confidence 1/4: (2 z + 4) / 4 + 3 z / 4 = 1.25 z + 1 for class 0; class 1 has scale 0.
    logits = torch.tensor([[4.0, 8.0, -3.0]])
    aligned = align_logits(logits, torch.tensor([[0.25]]), torch.tensor([2.0, 0.0]),
                           torch.tensor([4.0, 0.0]))
    assert aligned.tolist() == [[6, 6, -3]]


@both
def test_at_the_start_only_the_alignment_has_gradient_and_changes_nothing(layer_type):
    torch.manual_seed(0)
    layer, feats = layer_type(5, 4), torch.randn(6, 5)
    layer.confidence.bias.data.fill_(-7)  # the prior of a sigmoid, which the head gives to all
    layer.init_weights()
    plain = {DisAlignLinear: LinearPredictor, DisAlignCosineLinear: CosineLinear}[layer_type]
    torch.testing.assert_close(layer(feats), plain.forward(layer, feats))
    GRWCrossEntropyLoss(3, counts=[9, 3, 1])(layer(feats), torch.tensor([0, 1, 2, 3, 3, 3])
                                             ).backward()
    assert layer.logit_scale.grad.all() and layer.logit_bias.grad.all()
    assert layer.confidence.weight.grad.abs().max() < 1e-6 and layer.confidence.bias.grad < 1e-6
    assert layer.confidence.weight.std() < 0.05 and layer.confidence.bias == 0


@given(confidence=st.floats(0, 1), scale=st.floats(-3, 3), bias=st.floats(-3, 3))
def test_aligned_logits_lie_between_the_two_and_the_background_stays(confidence, scale, bias):
    logits = torch.tensor([[1.5, -2.0, 0.5]], dtype=torch.float64)
    aligned = align_logits(logits, torch.tensor([[confidence]], dtype=torch.float64),
                           torch.full((2,), scale, dtype=torch.float64),
                           torch.full((2,), bias, dtype=torch.float64))
    affine = scale * logits[:, :-1] + bias
    low, high = torch.minimum(affine, logits[:, :-1]), torch.maximum(affine, logits[:, :-1])
    assert ((aligned[:, :-1] >= low - 1e-9) & (aligned[:, :-1] <= high + 1e-9)).all()
    assert aligned[0, -1] == logits[0, -1]


@pytest.mark.parametrize('layer_type, plain', [
    (DisAlignLinear, torch.nn.Linear(5, 4)), (DisAlignCosineLinear, CosineLinear(5, 4))])
def test_weights_of_stage_1_fit_and_only_the_alignment_starts_anew(layer_type, plain):
    missing, unexpected = layer_type(5, 4).load_state_dict(plain.state_dict(), strict=False)
    assert not unexpected
    assert {name.split('.')[0] for name in missing} == set(layer_type.starts_empty)
