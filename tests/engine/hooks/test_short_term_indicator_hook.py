from types import SimpleNamespace

import bacl  # noqa: F401
import pytest
import torch
from bacl.engine.hooks import ShortTermIndicatorHook
from bacl.models.losses import FCBL
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop
from torch import nn

CONFIG = 'configs/bacl/faster-rcnn_effnet-lite0_emoji-lt-mini_stage2-bacl.py'


def runner(model, epoch=0, loop=EpochBasedTrainLoop):
    return SimpleNamespace(model=model, epoch=epoch, train_loop=loop.__new__(loop))


@pytest.mark.parametrize('epoch, reweighting, hallucinating', [
    (0, False, False), (1, True, False), (2, True, True), (7, True, True)])
def test_switches_follow_the_epoch_also_after_resuming_in_the_middle(epoch, reweighting,
                                                                     hallucinating):
    model = MODELS.build(Config.fromfile(CONFIG).model)
    hook = ShortTermIndicatorHook(reweight_start=1, hallucination_start=2)
    run = runner(model, epoch)
    hook.before_train(run)
    hook.before_train_epoch(run)
    assert model.roi_head.bbox_head.loss_cls.reweighting == reweighting
    assert model.roi_head.augmenters[0].hallucinating == hallucinating


def test_a_loss_built_without_weights_stays_without():
    loss = FCBL(3, with_weight=False).eval()
    hook, run = ShortTermIndicatorHook(), runner(loss)
    hook.before_train(run)
    hook.before_train_epoch(run)
    batch = torch.randn(4, 4), torch.tensor([0, 1, 2, 3])
    expected = FCBL(3, with_weight=True).eval()
    expected.reweighting = False
    assert loss(*batch) == expected(*batch)


@pytest.mark.parametrize('name', ['reweight_start', 'hallucination_start'])
def test_start_epochs_need_a_loop_that_counts_epochs(name):
    run = runner(FCBL(3), loop=IterBasedTrainLoop)
    with pytest.raises(RuntimeError, match=f'{name}=2.* got IterBasedTrainLoop'):
        ShortTermIndicatorHook(**{name: 2}).before_train(run)
    ShortTermIndicatorHook().before_train(run)


def test_what_has_no_switch_to_set_is_refused():
    for name in ('reweight_start', 'hallucination_start'):
        with pytest.raises(ValueError, match=f'{name}='):
            ShortTermIndicatorHook(**{name: -1})
    with pytest.raises(RuntimeError, match="loss_cls=dict\\(type='FCBL'"):
        ShortTermIndicatorHook().before_train(runner(nn.Linear(2, 2)))
    with pytest.raises(RuntimeError, match='hallucination_start=1.*hallucinating.*reweighting'):
        ShortTermIndicatorHook(hallucination_start=1).before_train(runner(FCBL(3)))
    ShortTermIndicatorHook(reweight_start=1).before_train(runner(FCBL(3)))


def test_interval_of_earlier_configs_is_told(monkeypatch):
    said = []
    monkeypatch.setattr('bacl.engine.hooks.short_term_indicator_hook.print_log',
                        lambda text, **kwargs: said.append(text))
    ShortTermIndicatorHook()
    assert not said
    ShortTermIndicatorHook(interval=2)
    assert 'LongTermIndicatorHook(interval=2)' in said[0]
