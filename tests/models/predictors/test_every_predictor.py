"""What every predictor survives, and that mmdet's heads train and predict with it."""
import bacl  # noqa: F401
import pytest
import torch
from bacl.models.predictors import ClassPredictor
from mmdet.registry import MODELS
from mmengine.config import ConfigDict
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd import gradcheck

C, D = 4, 6
NAMES = sorted(name for name, component in MODELS.module_dict.items()
               if isinstance(component, type) and issubclass(component, ClassPredictor))
# Trees would be further logits; tests/models/losses/test_forest.py has some.
SETTINGS = {'ForestLinear': dict(num_parents=()),
            'TextCosineLinear': dict(embed_dims=5, with_background=True)}
every_predictor = pytest.mark.parametrize('name', NAMES)


def build(name, **kwargs):
    torch.manual_seed(0)
    predictor = MODELS.build(dict(type=name, in_features=D, out_features=C + 1,
                                  **SETTINGS.get(name, {}), **kwargs))
    predictor.init_weights()
    if hasattr(predictor, 'set_text_embeddings'):
        predictor.set_text_embeddings(torch.randn_like(predictor.text_embeddings))
    for parameter in predictor.parameters():  # alignments and scales that do something
        parameter.data += 0.1 * torch.randn_like(parameter)
    return predictor


def test_all_registered_predictors_are_here():
    assert {'CosineLinear', 'DisAlignCosineLinear', 'DisAlignLinear', 'ForestLinear',
            'ScaledLinear', 'TDELinear', 'TextCosineLinear'} <= set(NAMES)


@every_predictor
@pytest.mark.parametrize('training', [True, False])
def test_gradient_is_that_of_the_logits(name, training):
    predictor = build(name).double().train(training)
    feats = torch.rand(3, D, dtype=torch.float64, requires_grad=True)
    parameters = tuple(predictor.parameters())
    assert gradcheck(lambda x, *_: predictor(x), (feats, *parameters))


@every_predictor
@pytest.mark.parametrize('scale', [0, 1, 1e4])
@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_is_single_precision_but_for_rounding(name, scale, dtype):
    predictor, feats = build(name), scale * torch.rand(5, D).to(dtype)
    if hasattr(predictor, 'observe'):
        predictor.observe(feats, torch.tensor([0, 1, C, 2, C]))
    for training in (True, False):
        expected = predictor.train(training)(feats.float())
        with torch.autocast('cpu', dtype=dtype):
            logits = predictor(feats)
        assert logits.isfinite().all()
        torch.testing.assert_close(logits.float(), expected, rtol=0.05,
                                   atol=0.05 * expected.abs().max().item())


@every_predictor
@pytest.mark.parametrize('training', [True, False])
def test_no_roi_gives_no_logits(name, training):
    predictor = build(name).train(training)
    logits = predictor(torch.zeros(0, D, requires_grad=True))
    logits.sum().backward()
    assert logits.shape == (0, C + 1)


@every_predictor
def test_only_observing_changes_state(name):
    predictor = build(name)
    before = {key: value.clone() for key, value in predictor.state_dict().items()}
    for training in (True, False):
        predictor.train(training)(torch.rand(5, D))
    for key, value in predictor.state_dict().items():
        assert torch.equal(value, before[key])


@every_predictor
def test_a_step_asks_a_gpu_for_no_value(name):
    with FakeTensorMode(allow_non_fake_inputs=False), torch.device('cuda'):
        predictor = MODELS.build(dict(type=name, in_features=D, out_features=C + 1,
                                      **SETTINGS.get(name, {})))
        feats = torch.rand(5, D)
        assert predictor(feats).device.type == 'cuda'
        if hasattr(predictor, 'observe'):
            predictor.observe(feats, torch.zeros(5, dtype=torch.long))
        assert predictor.eval()(feats).shape == (5, C + 1)


def head_cfg(name, loss_cls):
    return ConfigDict(
        type='Shared2FCBBoxHead', in_channels=2, fc_out_channels=D, roi_feat_size=1, num_classes=C,
        loss_cls=loss_cls, cls_predictor_cfg=dict(type=name, **SETTINGS.get(name, {})))


@every_predictor
def test_a_head_starts_it_trains_it_and_scores_by_it(name):
    head = MODELS.build(head_cfg(name, dict(type='SoftmaxCELoss')))
    torch.manual_seed(0)
    head.init_weights()
    for parameter in head.fc_cls.parameters():
        assert parameter.isfinite().all()
    feats, labels = torch.rand(8, 2, 1, 1), torch.arange(8) % (C + 1)
    logits, _ = head(feats)
    head.loss_cls(logits, labels).backward()
    assert any(parameter.grad.any() for parameter in head.fc_cls.parameters()
               if parameter.grad is not None)
    scores = head.loss_cls.get_activation(head.eval()(feats)[0])
    assert scores.shape == (8, C + 1)
    torch.testing.assert_close(scores.sum(1), torch.ones(8))


@pytest.mark.parametrize('name, loss, reason', [
    ('DisAlignLinear', 'SigmoidBCELoss', 'it has 4 outputs for 4 classes'),
    ('DisAlignCosineLinear', 'SeesawLoss', 'it has 6 outputs for 4 classes'),
    ('TDELinear', 'SigmoidBCELoss', 'it has 4 outputs for 4 classes'),
    ('DisAlignLinear', 'ObjectnessBCELoss', 'softmax only.*ObjectnessBCELoss'),
    ('TDELinear', 'ObjectnessBCELoss', 'softmax only.*ObjectnessBCELoss')])
def test_losses_that_it_does_not_fit_are_refused(name, loss, reason):
    loss_cls = dict(type=loss, **(dict(num_classes=C) if loss == 'SeesawLoss' else {}))
    with pytest.raises(ValueError, match=f'{name} in Shared2FCBBoxHead: .*{reason}'):
        MODELS.build(head_cfg(name, loss_cls))


@pytest.mark.parametrize('name, loss', [
    ('TDELinear', 'CrossEntropyLoss'), ('DisAlignLinear', 'GRWCrossEntropyLoss')])
def test_losses_that_it_fits_are_not(name, loss):
    MODELS.build(head_cfg(name, dict(type=loss)))
