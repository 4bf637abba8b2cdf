import bacl  # noqa: F401
import pytest
import torch
from bacl.models.losses import SoftmaxCELoss
from bacl.models.predictors import ScaledLinear


@pytest.mark.golden('decoupled.npz')
@pytest.mark.parametrize('prefix, scales_bias', [('lws', False), ('lwsb', True)])
def test_equals_official_logits_loss_and_gradient(golden, prefix, scales_bias):
    out_features, in_features = golden['cls_weight'].shape
    layer = ScaledLinear(in_features, out_features, scales_bias).double().requires_grad_(False)
    layer.weight.data, layer.bias.data = golden['cls_weight'], golden['cls_bias']
    layer.class_scale.data = golden['lws_scale']
    layer.class_scale.requires_grad_()
    logits = layer(golden['features'])
    loss = SoftmaxCELoss(int(golden['num_classes']))(
        logits, golden['labels'], golden['label_weights'], golden['avg_factor'])
    loss.backward()
    for ours, theirs in ((logits, 'logits'), (loss, 'loss'),
                         (layer.class_scale.grad, 'grad_scale')):
        torch.testing.assert_close(ours.detach(), golden[f'{prefix}_{theirs}'],
                                   rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize('scales_bias', [False, True])
def test_it_starts_as_the_classifier_of_stage_1(scales_bias):
    stage1, layer = torch.nn.Linear(5, 4), ScaledLinear(5, 4, scales_bias)
    layer.class_scale.data.fill_(7)
    layer.init_weights()
    missing, unexpected = layer.load_state_dict(stage1.state_dict(), strict=False)
    assert missing == list(ScaledLinear.starts_empty) and not unexpected
    feats = torch.randn(3, 5)
    torch.testing.assert_close(layer(feats), stage1(feats))


def test_init_weights_leaves_weight_and_bias_to_the_head():
    layer = ScaledLinear(5, 4)
    layer.bias.data.fill_(-6.9)
    weight = layer.weight.data.clone()
    layer.init_weights()
    assert torch.equal(layer.weight.data, weight) and (layer.bias == -6.9).all()
