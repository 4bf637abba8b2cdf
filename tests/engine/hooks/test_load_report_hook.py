import logging
from types import SimpleNamespace

import bacl  # noqa: F401
import pytest
import torch
from bacl.engine.hooks import LoadReportHook, compare_weights
from bacl.engine.hooks.load_report_hook import shortened
from bacl.models.losses import FCBL
from mmengine.runner import EpochBasedTrainLoop
from torch import nn


class Detector(nn.Module):
    def __init__(self, num_classes=3, with_fcbl=True, decoupled=True):
        super().__init__()
        self.backbone = nn.Linear(2, 2)
        self.fc_cls = nn.Linear(2, num_classes + 1)
        if with_fcbl:
            self.loss_cls = FCBL(num_classes)
        self.needs_pretrained_extractor = decoupled


def runner(model, training=True, resume=False, load_from='some.pth'):
    loop = EpochBasedTrainLoop.__new__(EpochBasedTrainLoop) if training else dict()
    return SimpleNamespace(model=model, _train_loop=loop, _resume=resume, _load_from=load_from)


def load(model, weights, **kwargs):
    hook = LoadReportHook()
    run = runner(model, **kwargs)
    hook.after_load_checkpoint(run, dict(state_dict=weights))
    hook.before_train(run)


def test_stage_one_weights_enter_stage_two_and_the_indicator_is_new():
    stage1 = Detector(with_fcbl=False)
    report = compare_weights(Detector(), stage1.state_dict())
    assert len(report.loaded) == 4 and not (report.missing or report.unused or report.misfit)
    assert report.new == ['loss_cls.indicator.score_sum', 'loss_cls.indicator.num_samples']
    load(Detector(), stage1.state_dict())


def test_wrapped_weights_and_left_overs_are_recognised():
    weights = {f'module.{k}': v for k, v in Detector().state_dict().items()}
    weights['module.mask_head.weight'] = torch.zeros(1)
    report = compare_weights(Detector(), weights)
    assert len(report.loaded) == 6 and report.unused == ['mask_head.weight']


@pytest.mark.parametrize('decoupled, kwargs', [
    (False, dict(training=False)), (False, dict(resume=True)), (True, dict())])
def test_another_number_of_classes_is_refused_with_both_shapes(decoupled, kwargs):
    weights = Detector(num_classes=5).state_dict()
    with pytest.raises(ValueError, match=r'some.pth.*fc_cls.weight: \(6, 2\) in the checkpoint, '
                                         r'\(4, 2\) in the model'):
        load(Detector(decoupled=decoupled), weights, **kwargs)


def test_another_number_of_classes_is_a_warning_when_fine_tuning(monkeypatch):
    said = []
    monkeypatch.setattr('bacl.engine.hooks.load_report_hook.print_log',
                        lambda text, logger, level: said.append((text, level)))
    for num_classes in (5, 3):
        load(Detector(decoupled=False), Detector(num_classes).state_dict())
    assert 'fc_cls.weight: (6, 2) in the checkpoint, (4, 2) in the model' in said[0][0]
    assert [level for _, level in said] == [logging.WARNING, logging.INFO]


def test_unknown_path_is_not_named():
    with pytest.raises(ValueError, match='^The checkpoint does not fit'):
        load(Detector(), Detector(num_classes=5).state_dict(), training=False, load_from=None)


def test_counters_of_batch_norms_may_be_missing():
    weights = {name: tensor for name, tensor in nn.BatchNorm2d(3).state_dict().items()
               if name != 'num_batches_tracked'}
    report = compare_weights(nn.BatchNorm2d(3), weights)
    assert len(report.loaded) == 4 and not report.missing


@pytest.mark.parametrize('kwargs', [dict(training=False), dict(decoupled=True)])
def test_missing_weights_are_refused_in_tests_and_with_a_frozen_extractor(kwargs):
    weights = nn.ModuleDict(dict(backbone=nn.Linear(2, 2))).state_dict()
    model = Detector(decoupled=kwargs.pop('decoupled', False))
    with pytest.raises(ValueError, match='fc_cls.weight'):
        load(model, weights, **kwargs)


def test_partial_weights_may_start_a_representation_stage():
    hook, run = LoadReportHook(), runner(Detector(decoupled=False))
    weights = nn.ModuleDict(dict(backbone=nn.Linear(2, 2))).state_dict()
    hook.after_load_checkpoint(run, dict(state_dict=weights))
    assert hook.has_loaded


def test_resuming_without_indicator_state_is_refused():
    weights = Detector(with_fcbl=False).state_dict()
    with pytest.raises(ValueError, match='score_sum'):
        load(Detector(), weights, resume=True)


def test_frozen_extractor_without_checkpoint_is_refused():
    with pytest.raises(RuntimeError, match='--stage1-checkpoint'):
        LoadReportHook().before_train(runner(Detector()))
    LoadReportHook().before_train(runner(Detector(decoupled=False)))


def test_report_counts_and_names():
    report = compare_weights(Detector(), {'backbone.weight': torch.zeros(2, 2), 'x': torch.ones(1)})
    text = str(report)
    assert '1 tensors loaded' in text and "1 in the checkpoint but not in the model: x" in text
    assert '3 in the model but not in the checkpoint: backbone.bias' in text
    assert shortened(list('abcdefgh')) == 'a, b, c, d, e, f and 2 more'
