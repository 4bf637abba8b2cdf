import bacl  # noqa: F401
import pytest
import torch
from bacl.models.losses import (
    FCBL,
    EqualizationLossV2,
    LongTailLoss,
    ObjectnessBCELoss,
    SigmoidBCELoss,
)
from bacl.models.losses.base import one_hot_targets
from mmdet.registry import MODELS

# Number of channels of a classifier of four classes, by loss.
CHANNELS = {SigmoidBCELoss: 4, ObjectnessBCELoss: 5, FCBL: 5, EqualizationLossV2: 5}
every_loss = pytest.mark.parametrize('loss_type', CHANNELS)


def test_an_incomplete_loss_cannot_be_built():
    class NoActivation(LongTailLoss):
        def get_cls_channels(self, num_classes):
            return num_classes

        def get_accuracy(self, cls_score, labels):
            return {}

        def forward(self, *args, **kwargs):
            return 0

    with pytest.raises(TypeError, match='get_activation'):
        NoActivation()


@every_loss
@pytest.mark.parametrize('kwargs, name', [
    (dict(num_classes=0), 'num_classes='), (dict(num_classes=3.0), 'num_classes='),
    (dict(num_classes=3, reduction='avg'), 'reduction='),
    (dict(num_classes=3, loss_weight=-1), 'loss_weight='),
])
def test_arguments_out_of_range_are_named(loss_type, kwargs, name):
    with pytest.raises(ValueError, match=name):
        loss_type(**kwargs)


@every_loss
def test_a_head_with_another_number_of_classes_is_refused(loss_type):
    with pytest.raises(ValueError, match='num_classes=4.*num_classes=5'):
        loss_type(num_classes=4).get_cls_channels(5)
    assert loss_type(num_classes=4).get_cls_channels(4) == CHANNELS[loss_type]


def test_unknown_reduction_override_is_refused():
    loss = ObjectnessBCELoss(num_classes=2)
    with pytest.raises(ValueError, match='reduction='):
        loss(torch.zeros(1, 3), torch.tensor([0]), reduction_override='avg')


def test_a_training_step_prepares_then_computes_and_then_observes():
    calls = []

    class Recorder(ObjectnessBCELoss):
        def prepare(self, logits, labels, weight):
            calls.append(('prepare', logits.requires_grad, weight))

        def sample_losses(self, logits, labels, weight):
            calls.append(('loss', logits.requires_grad, weight))
            return super().sample_losses(logits, labels, weight)

        def observe(self, logits, labels, weight):
            calls.append(('observe', logits.requires_grad, weight))

    loss, args = Recorder(2), (torch.zeros(1, 3, requires_grad=True), torch.tensor([0]))
    loss(*args)
    assert calls == [('prepare', False, None), ('loss', True, None), ('observe', False, None)]
    calls.clear()
    with torch.no_grad():  # as samplers rank
        loss(*args)
    loss.eval()(*args)
    assert [call[0] for call in calls] == ['loss', 'loss']


def test_accuracy_uses_the_scores_with_objectness():
    # Logit 3 of class 0 beats the background logit 1, but the objectness 1 - sigmoid(1) = 0.27
    # brings class 0 to 0.26 against a background score of 0.73.
    loss = ObjectnessBCELoss(num_classes=1)
    cls_score = torch.tensor([[3.0, 1.0], [3.0, -3.0]])
    assert loss.get_accuracy(cls_score, torch.tensor([1, 0]))['acc'].item() == 100
    loss, cls_score = ObjectnessBCELoss(num_classes=4), torch.randn(400, 5)
    labels = torch.randint(5, (400,))
    is_right = loss.get_activation(cls_score).argmax(dim=1) == labels
    assert 0 < is_right.sum() < len(labels)
    torch.testing.assert_close(loss.get_accuracy(cls_score, labels)['acc'],
                               100 * is_right.float().mean())
    assert loss.get_accuracy(cls_score[:0], labels[:0])['acc'] == 0


def test_one_hot_targets_put_background_last():
    targets = one_hot_targets(torch.tensor([0, 2]), torch.zeros(2, 3))
    assert targets.tolist() == [[1, 0, 0], [0, 0, 1]]


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
@pytest.mark.parametrize('loss_type', [loss_type.__name__ for loss_type in CHANNELS])
def test_autocast_leaves_loss_and_gradient_in_single_precision(loss_type, dtype):
    num_classes, num_samples = 300, 512  # a sum of 0.7 * 300 * 512 is beyond half precision
    results = []
    for enabled in (True, False):
        loss = MODELS.build(dict(type=loss_type, num_classes=num_classes))
        logits = torch.zeros(num_samples, loss.get_cls_channels(num_classes), requires_grad=True)
        labels = torch.arange(num_samples).remainder(num_classes + 1)
        with torch.autocast('cpu', dtype=dtype, enabled=enabled):
            value = loss(logits, labels, torch.ones(num_samples), avg_factor=num_samples - 1)
        value.backward()
        assert value.dtype == torch.float32
        results.append((value.detach(), logits.grad))
    assert torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][1], results[1][1])
