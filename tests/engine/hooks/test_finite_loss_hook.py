from types import SimpleNamespace

import bacl  # noqa: F401
import pytest
import torch
from bacl.engine.hooks import FiniteLossHook, NonFiniteLossError
from bacl.engine.hooks.finite_loss_hook import read_losses
from mmengine.logging import MessageHub
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper
from torch._subclasses.fake_tensor import FakeTensorMode


class Model(BaseModel):
    """Its loss is weight * x, its buffer counts and its momentum remembers every step."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(()))
        self.register_buffer('total', torch.zeros(()))

    def forward(self, x, data_samples=None, mode='tensor'):
        self.total += x.sum()
        if mode == 'loss':
            return dict(loss_a=self.weight * x[0], loss_b=[self.weight * part for part in x[1:]],
                        acc=torch.tensor(torch.nan))
        return []


def sample(name):
    return SimpleNamespace(img_path=name)


class Run:
    """What the hook needs of a runner, and the training loop."""

    def __init__(self, work_dir, accumulative_counts=1, **hook):
        self.model, self.iter, self.epoch, self.work_dir = Model(), 0, 0, str(work_dir)
        optimizer = torch.optim.SGD(self.model.parameters(), 0.1, momentum=0.9, weight_decay=0.1)
        self.optim_wrapper = OptimWrapper(optimizer, accumulative_counts=accumulative_counts)
        self.message_hub = MessageHub('finite_loss')
        self.hook = FiniteLossHook(**hook)
        self.hook.before_train(self)

    def step(self, x):
        self.hook.before_train_iter(self, 0)
        batch = dict(x=torch.tensor(x), data_samples=[sample('a.jpg'), sample('b.jpg')])
        outputs = self.model.train_step(batch, self.optim_wrapper)
        self.hook.after_train_iter(self, 0, batch, outputs)
        self.iter += 1
        return outputs

    def state(self):
        return (self.model.weight.item(), self.model.total.item(),
                str(self.optim_wrapper.state_dict()))


def test_finite_losses_pass_whatever_is_logged_beside_them(tmp_path):
    run = Run(tmp_path)
    assert 'loss_a' in run.step([1., 2., 3.])
    assert run.model.weight.item() < 1


@pytest.mark.parametrize('x, terms', [
    ([torch.nan, 2., 3.], 'loss_a = nan'), ([1., 2., torch.inf], 'loss_b = inf'),
    ([-torch.inf, torch.inf, 1.], 'loss_a = -inf, loss_b = inf')])
def test_error_names_terms_iteration_and_images_and_the_weights_stay(tmp_path, x, terms):
    run = Run(tmp_path)
    run.step([1., 2., 3.])
    weight = run.model.weight.item()
    error = rf'Loss not finite in iteration 2 \(epoch 1\), rank 0: {terms}; images: a\.jpg, ' \
            r'b\.jpg\. There is no checkpoint yet\..*max_skipped=10\.$'
    with pytest.raises(NonFiniteLossError, match=error):
        run.step(x)
    assert run.model.weight.item() == weight


def test_batch_that_is_left_out_changes_nothing_but_the_count(tmp_path):
    run, without = Run(tmp_path, max_skipped=2), Run(tmp_path, max_skipped=2)
    for x in ([1., 2.], [torch.nan, 1.], [2., 2.], [1., torch.inf], [3., 1.]):
        before = run.state()
        outputs = run.step(x)
        if torch.tensor(x).isfinite().all():
            without.step(x)
        else:
            assert run.state() == before
            assert outputs == {}
    assert run.state() == without.state()
    assert run.message_hub.get_info('num_skipped_batches') == 2
    with pytest.raises(NonFiniteLossError, match='max_skipped=12'):
        run.step([torch.nan, 1.])


def test_gradient_that_was_accumulated_is_left_out_with_the_batch(tmp_path):
    run = Run(tmp_path, accumulative_counts=2, max_skipped=1)
    run.step([1., 2.])
    run.step([torch.nan, 1.])
    assert run.model.weight.item() == 1
    run.step([1., 2.])
    run.step([1., 2.])
    assert run.model.weight.item() < 1


def test_bad_batch_within_an_accumulation_is_found_without_a_step(tmp_path):
    with pytest.raises(NonFiniteLossError, match='iteration 1 '):
        Run(tmp_path, accumulative_counts=3).step([torch.nan, 1.])


def test_weights_that_were_broken_before_are_not_left_out(tmp_path):
    run = Run(tmp_path, max_skipped=5)
    with torch.no_grad():
        run.model.weight.fill_(torch.nan)
    with pytest.raises(NonFiniteLossError, match=r'not finite before it \(weight\)'):
        run.step([1., 2.])
    with pytest.raises(NonFiniteLossError, match=r'Weights not finite after epoch 1 \(weight\)'):
        run.hook.before_save_checkpoint(run, {})


def test_predictions_and_models_that_are_trained_later_are_left_alone(tmp_path):
    run = Run(tmp_path)
    run.model.eval()
    run.model(torch.tensor([torch.nan]), mode='loss')
    run.model.train()
    run.model(torch.tensor([torch.nan]), mode='predict')
    run.hook.after_train(run)
    run.step([torch.nan, 1.])


def test_negative_limit_is_refused():
    with pytest.raises(ValueError, match=r'FiniteLossHook\(max_skipped=\) expects'):
        FiniteLossHook(max_skipped=-1)


def test_reading_losses_waits_for_nothing():
    # Fake tensors have no data: who asks for a value fails.
    with FakeTensorMode(allow_non_fake_inputs=False), torch.device('cuda'):
        losses = read_losses(dict(loss_cls=torch.rand(()), acc=torch.rand(1),
                                  loss_rpn=[torch.rand(()), torch.rand(3)]), [])
    assert losses.is_bad.device.type == 'cuda' and losses.is_bad.shape == ()
