import torch
from bacl.engine.checking.load_report import (
    compare_weights,
    faults_of_predictions,
    leave_out_fresh_layers,
    names_that_start_empty,
    shortened,
)
from bacl.models.losses import FCBL
from torch import nn


class Detector(nn.Module):
    def __init__(self, with_fcbl=True):
        super().__init__()
        self.backbone = nn.Linear(2, 2)
        self.fc_cls = nn.Linear(2, 4)
        if with_fcbl:
            self.loss_cls = FCBL(3)


def test_indicator_is_new_to_weights_of_stage_one():
    report = compare_weights(Detector(), Detector(with_fcbl=False).state_dict())
    assert len(report.loaded) == 4 and not (report.missing or report.unused or report.misfit)
    assert report.new == ['loss_cls.indicator.score_sum', 'loss_cls.indicator.num_samples']


def test_wrapped_weights_and_left_overs_are_recognised():
    weights = {f'module.{k}': v for k, v in Detector().state_dict().items()}
    weights['module.mask_head.weight'] = torch.zeros(1)
    report = compare_weights(Detector(), weights)
    assert len(report.loaded) == 6 and report.unused == ['mask_head.weight']


def test_counters_of_batch_norms_may_be_missing():
    weights = {name: tensor for name, tensor in nn.BatchNorm2d(3).state_dict().items()
               if name != 'num_batches_tracked'}
    report = compare_weights(nn.BatchNorm2d(3), weights)
    assert len(report.loaded) == 4 and not report.missing


def test_report_counts_and_names():
    report = compare_weights(Detector(), {'backbone.weight': torch.zeros(2, 2), 'x': torch.ones(1)})
    text = str(report)
    assert '1 tensors loaded' in text and "1 in the checkpoint but not in the model: x" in text
    assert '3 in the model but not in the checkpoint: backbone.bias' in text
    assert shortened(list('abcdefgh')) == 'a, b, c, d, e, f and 2 more'


class Predictor(nn.Module):
    """Says of a parameter and of a part of it that they may start empty."""

    starts_empty = ('scale', 'memory')

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(2))
        self.scale = nn.Parameter(torch.zeros(2))
        self.scale_of_other = nn.Parameter(torch.zeros(2))
        self.memory = nn.BatchNorm1d(2, affine=False)


def test_modules_say_which_state_may_start_empty():
    model = nn.ModuleDict(dict(head=Predictor()))
    assert list(names_that_start_empty(model)) == [
        'head.scale', 'head.memory.running_mean', 'head.memory.running_var',
        'head.memory.num_batches_tracked']
    report = compare_weights(model, {'head.weight': torch.zeros(2)})
    assert report.missing == ['head.scale_of_other'] and 'head.scale' in report.new
    assert list(names_that_start_empty(Predictor())) == [
        'scale', 'memory.running_mean', 'memory.running_var', 'memory.num_batches_tracked']


def test_only_what_a_module_calls_its_training_layers_may_be_missing_in_a_test():
    head = nn.ModuleDict(dict(fc_cls=nn.Linear(2, 3), projection=nn.Linear(2, 2)))
    head.training_layers = ('projection',)
    model = nn.ModuleDict(dict(head=head, backbone=nn.ModuleDict(dict(projection=nn.Linear(2, 2)))))
    report = compare_weights(model, {'head.fc_cls.weight': torch.zeros(3, 2)})
    assert faults_of_predictions(model, report) == [
        'head.fc_cls.bias', 'backbone.projection.weight', 'backbone.projection.bias']


def test_layers_that_start_anew_are_left_out_of_the_weights():
    model = nn.ModuleDict(dict(fc_cls=nn.Linear(2, 3), fc_cls_other=nn.Linear(2, 3)))
    model.fresh = ('fc_cls',)
    weights = {'fc_cls.weight': torch.zeros(9, 2), 'fc_cls_other.weight': torch.zeros(3, 2)}
    fresh = leave_out_fresh_layers(model, weights)
    assert fresh == ['fc_cls.weight', 'fc_cls.bias'] and list(weights) == ['fc_cls_other.weight']
    report = compare_weights(model, weights, fresh)
    assert report.fresh == fresh and report.missing == ['fc_cls_other.bias']
    assert not report.misfit and '2 start anew' in str(report)
