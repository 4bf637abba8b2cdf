import logging
from types import SimpleNamespace

import bacl  # noqa: F401
import pytest
import torch
from bacl.engine.hooks import LoadReportHook
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
    return hook


def test_stage_one_weights_enter_stage_two():
    stage1 = Detector(with_fcbl=False)
    assert load(Detector(), stage1.state_dict()).has_loaded


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


@pytest.mark.parametrize('kwargs', [dict(training=False), dict(decoupled=True)])
def test_missing_weights_are_refused_in_tests_and_with_a_frozen_extractor(kwargs):
    weights = nn.ModuleDict(dict(backbone=nn.Linear(2, 2))).state_dict()
    model = Detector(decoupled=kwargs.pop('decoupled', False))
    with pytest.raises(ValueError, match='fc_cls.weight'):
        load(model, weights, **kwargs)


def test_partial_weights_may_start_stage_1():
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


def test_weights_of_which_none_fits_start_nothing():
    weights = {'encoder.weight': torch.zeros(2)}
    with pytest.raises(ValueError, match='some.pth does not fit .*: it has none of its tensors'):
        load(Detector(decoupled=False), weights)


def test_official_checkpoint_is_pointed_to_the_converter():
    checkpoint = dict(state_dict=Detector().state_dict(), meta=dict(mmdet_version='2.8.0'))
    with pytest.raises(ValueError, match=r'some\.pth is .*convert_official_bacl\.py CONFIG'):
        LoadReportHook().after_load_checkpoint(runner(Detector()), checkpoint)
    # A detector of the model zoo may start stage 1.
    LoadReportHook().after_load_checkpoint(runner(Detector(decoupled=False)), checkpoint)


class FreshClassifier(Detector):
    """Starts its classifier anew, as cRT and BAGS do."""

    fresh = ('fc_cls',)


@pytest.mark.parametrize('num_classes', [3, 5])
def test_a_fresh_classifier_takes_nothing_from_the_checkpoint_unless_the_run_is_resumed(
        num_classes):
    weights = Detector(num_classes, with_fcbl=False).state_dict()
    load(FreshClassifier(), weights)
    assert list(weights) == ['backbone.weight', 'backbone.bias']
    for kwargs in (dict(training=False), dict(resume=True)):
        weights = FreshClassifier().state_dict()
        load(FreshClassifier(), weights, **kwargs)
        assert 'fc_cls.weight' in weights


class Scaled(Detector):
    """Has a parameter that stage 1 does not know."""

    starts_empty = ('scale',)

    def __init__(self, as_buffer):
        super().__init__()
        self.register_buffer('scale', torch.ones(1)) if as_buffer else \
            self.register_parameter('scale', nn.Parameter(torch.ones(1)))


@pytest.mark.parametrize('as_buffer', [True, False])
def test_what_may_start_empty_has_to_be_there_in_a_test_except_state_of_the_loss(as_buffer):
    weights = Detector(with_fcbl=False).state_dict()
    load(Scaled(as_buffer), weights)
    load(Detector(), weights, training=False)
    with pytest.raises(ValueError, match='fit the model: scale'):
        load(Scaled(as_buffer), weights, training=False)
