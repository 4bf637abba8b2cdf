import bacl.feature_bank.assignment as module
import pytest
import torch
from bacl.feature_bank.assignment import remember_assignments
from mmdet.models.task_modules import MaxIoUAssigner
from mmdet.registry import DATASETS, MODELS
from mmengine.dataset import pseudo_collate
from torch import nn


@pytest.fixture
def asked(monkeypatch):
    """Number of priors of each image that mmdet's assigner computes anything for."""
    counts, compute = [], MaxIoUAssigner.assign_wrt_overlaps

    def count(self, overlaps, gt_labels):
        counts.append(overlaps.size(1))
        return compute(self, overlaps, gt_labels)

    monkeypatch.setattr(MaxIoUAssigner, 'assign_wrt_overlaps', count)
    return counts


@pytest.fixture
def steps(over_bank, monkeypatch):
    """Losses of a new model in training steps, each on given views of two images.

    A training draws the RoIs of each step anew; here steps draw alike.
    """
    def run(*views, prepare=lambda head: None):
        cfg = over_bank()
        torch.manual_seed(0)
        model = MODELS.build(cfg.model).train()
        prepare(model.roi_head)
        dataset = DATASETS.build(cfg.train_dataloader.dataset)
        losses = []
        for view in views:
            monkeypatch.setattr('numpy.random.randint', lambda end, view=view: min(view, end - 1))
            data = model.data_preprocessor(pseudo_collate([dataset[0], dataset[1]]), True)
            torch.manual_seed(7)
            losses.append(model.loss(data['inputs'], data['data_samples']))
        return losses

    return run


def forget_everything(head):
    del head.bbox_assigner.assign  # that of the class is left


def test_a_view_is_assigned_once_and_every_step_is_the_same_to_the_last_bit(steps, asked):
    expected = steps(0, 1, 0, 1, 0, prepare=forget_everything)
    assert len(asked) == 5 * 2
    asked.clear()
    found = steps(0, 1, 0, 1, 0)
    assert len(asked) == 2 * 2  # two views of two images
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_nothing_is_remembered_when_thresholds_change(steps, asked):
    assert len(steps(0, 0)) == 2 and len(asked) == 2
    asked.clear()
    heads = []
    steps(0, prepare=heads.append)
    heads[0].bbox_assigner.pos_iou_thr = 0.9  # as Dynamic R-CNN does it
    before = len(asked)
    steps(0, prepare=lambda head: setattr(head, 'bbox_assigner', heads[0].bbox_assigner))
    assert len(asked) == 2 * before


def test_memory_is_limited(steps, asked, monkeypatch):
    monkeypatch.setattr(module, 'MEMORY_LIMIT', 1)
    steps(0, 0, 0)
    assert len(asked) == 2 + 1 + 1  # the first image is beyond the limit already


class OwnAssigner(MaxIoUAssigner):
    """Might draw, or learn."""


@pytest.mark.parametrize('assigner', [
    OwnAssigner(0.5, 0.5), MaxIoUAssigner(0.5, 0.5, perm_repeat_gt_cfg=dict(iou_thr=0.7)), None])
def test_assigners_that_may_answer_otherwise_are_asked_each_time(assigner):
    head = nn.Module()
    head.bbox_assigner = assigner
    remember_assignments(head)
    assert 'assign' not in (vars(assigner) if assigner else {})
