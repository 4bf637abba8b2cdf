import bacl  # noqa: F401
import pytest
import torch
import torch.nn.functional as F
from bacl.models.augmenters import FeatureReplay, Samples
from bacl.models.roi_heads.classifier_tap import ClassifierTap
from hypothesis import given
from hypothesis import strategies as st
from torch import nn


class Cosine(nn.Module):
    """The classifier of RIO: scaled cosines times a learned norm for each class."""

    def __init__(self, golden):
        super().__init__()
        self.v, self.g = nn.Parameter(golden['cls_v']), nn.Parameter(golden['cls_g'])
        self.scale, self.eps = float(golden['scale']), float(golden['eps'])

    def forward(self, feats):
        feats = feats / (feats.norm(dim=1, keepdim=True) + self.eps)
        return self.scale * self.g * (feats @ F.normalize(self.v, dim=1).t())


class CrossEntropy(nn.Module):
    def forward(self, logits, labels, weights, avg_factor):
        self.logits = logits.detach()
        return (F.cross_entropy(logits, labels, reduction='none') * weights).sum() / avg_factor


class SumL1(nn.Module):
    def forward(self, preds, targets, weights, avg_factor):
        return ((preds - targets).abs() * weights).sum() / avg_factor


class Head(nn.Module):
    with_reg, reg_class_agnostic = True, False

    def __init__(self, golden):
        super().__init__()
        self.num_classes = int(golden['num_classes'])
        self.fc_cls, self.loss_cls, self.loss_bbox = Cosine(golden), CrossEntropy(), SumL1()
        self.fc_reg = nn.Linear(*golden['reg_weight'].t().shape).double()
        self.fc_reg.load_state_dict(dict(weight=golden['reg_weight'], bias=golden['reg_bias']))


def official_replay(golden):
    num_classes = int(golden['num_classes'])
    is_target = torch.isin(torch.arange(num_classes), golden['target_classes'])
    return FeatureReplay(num_classes, golden['features'].size(2), int(golden['k_max']),
                         int(golden['k_min']), max_images=30,
                         counts=torch.where(is_target, 30, 31)).double()


def tags_of(feats, golden):
    """Which of all features each is."""
    return torch.cdist(feats, golden['features'].flatten(0, 1)).argmin(dim=1)


@pytest.mark.golden('rio.npz')
def test_equals_the_definition_over_five_steps(golden):
    """Replayed features, memory, losses of both branches and gradients."""
    head, replay = Head(golden), official_replay(golden)
    for step, labels in enumerate(golden['labels']):
        feats = golden['features'][step].clone().requires_grad_()
        targets, positive = golden['deltas'][step], labels < head.num_classes
        shown = []

        def exchange(rois, boxes, labels=labels, targets=targets, shown=shown):
            shown.append(replay(Samples(rois, labels, targets), None, None))
            return shown[0]

        head.zero_grad()
        with ClassifierTap(head, len(labels), exchange):
            cls_score, bbox_pred = head.fc_cls(feats), head.fc_reg(feats)
            loss_cls = head.loss_cls(cls_score, labels, torch.ones(len(labels)).double(),
                                     avg_factor=float(len(labels)))
            preds = bbox_pred.view(len(labels), -1, 4)[positive, labels[positive]]
            loss_bbox = 0 * preds.sum()
            if positive.any():  # else mmdet's heads have no loss of boxes
                loss_bbox = head.loss_bbox(preds, targets[positive], torch.ones_like(preds),
                                           avg_factor=len(labels))
        loss_cls.backward()
        for ours, theirs in (
                (loss_cls.detach(), 'loss_cls'), (loss_bbox.detach(), 'loss_bbox'),
                (head.fc_cls.v.grad, 'grad_cls_v'), (head.fc_cls.g.grad, 'grad_cls_g'),
                (feats.grad, 'grad_features')):
            torch.testing.assert_close(ours, golden[theirs][step], rtol=1e-9, atol=1e-12)

        # In which order classes are replayed is nobody's choice.
        tags, order = tags_of(shown[0].feats, golden).sort()
        expected, their_order = golden[f'replay_tags_{step}'].sort()
        assert torch.equal(tags, expected)
        assert torch.equal(shown[0].labels[order], golden[f'replay_labels_{step}'][their_order])
        torch.testing.assert_close(shown[0].box_targets[order],
                                   golden['deltas'].flatten(0, 1)[tags])
        logits = torch.cat([head.loss_cls.logits[:len(labels)],
                            head.loss_cls.logits[len(labels):][order][their_order.argsort()]])
        for ours, theirs in ((logits, 'logits'), (logits.softmax(dim=1), 'scores')):
            torch.testing.assert_close(ours, golden[f'{theirs}_{step}'], rtol=1e-9, atol=1e-12)
        check_memory(replay.memory, golden, step)


def check_memory(memory, golden, step):
    classes = golden['target_classes']
    assert torch.equal(memory.size()[classes], golden['memory_count_after'][step])
    assert memory.size().sum() == golden['memory_count_after'][step].sum()
    for c, expected in zip(classes, golden['memory_tags_after'][step], strict=True):
        size = int(memory.size()[c])
        slots = (memory.num_stored[c] - size + torch.arange(size)) % memory.capacity
        assert torch.equal(tags_of(memory.feats[c, slots], golden), expected[:size])


def rois(labels, tag=0.0):
    labels = torch.tensor(labels, dtype=torch.long)
    feats = (tag + torch.arange(len(labels), dtype=torch.float32))[:, None]
    return Samples(feats, labels, feats.expand(-1, 4))


def test_newest_features_come_first_and_none_the_first_time():
    replay = FeatureReplay(3, 1, capacity=4, num_features_per_class=3, counts=[31, 30, 5])
    assert len(replay(rois([1, 1, 0]), None, None).feats) == 0
    extra = replay(rois([1, 0, 3, 1, 1], tag=10), None, None)
    assert extra.feats[:, 0].tolist() == [1, 0] and extra.labels.tolist() == [1, 1]
    extra = replay(rois([2, 1]), None, None)
    assert extra.feats[:, 0].tolist() == extra.box_targets[:, 0].tolist() == [14, 13, 10]
    assert extra.total_weight is None


@given(steps=st.lists(st.lists(st.integers(0, 5), max_size=8), max_size=5),
       max_classes=st.integers(1, 6), on_gpu=st.booleans())
def test_equals_a_list_for_each_class(steps, max_classes, on_gpu):
    counts = [9, 40, 3, 7, 5]  # class 1 is not rare
    with pytest.MonkeyPatch.context() as patch:
        if on_gpu:
            patch.setattr('bacl.ops.class_groups.is_on_cpu', lambda tensor: False)
        replay = FeatureReplay(5, 1, capacity=3, num_features_per_class=2,
                               max_classes=max_classes, counts=counts)
        lists = [[] for _ in counts]
        for step, labels in enumerate(steps):
            batch = rois(labels, tag=10.0 * step)
            extra = replay(batch, None, None)
            rarest = sorted({c for c in labels if c in (0, 2, 3, 4)}, key=lambda c: counts[c])
            expected = [(c, tag) for c in rarest[:max_classes] for tag in lists[c][::-1][:2]]
            is_there = extra.labels < 5
            assert is_there.all() or on_gpu
            assert [*zip(extra.labels[is_there].tolist(), extra.feats[is_there, 0].tolist(),
                         strict=True)] == expected
            if on_gpu:
                assert len(extra.labels) == 2 * min(max_classes, 5)
            for c, tag in zip(labels, batch.feats[:, 0].tolist(), strict=True):
                if c in (0, 2, 3, 4):
                    lists[c] = [*lists[c], tag][-3:]


def test_a_restored_replay_goes_on_as_the_saved_one():
    saved = FeatureReplay(2, 1, counts=[3, 3])
    saved(rois([0, 0, 1]), None, None)
    restored = FeatureReplay(2, 1)
    restored.load_state_dict(saved.state_dict())
    results = [replay(rois([0, 1]), None, None) for replay in (saved, restored)]
    assert torch.equal(results[0].feats, results[1].feats) and len(results[0].feats) == 3


def test_counts_come_from_somewhere():
    with pytest.raises(RuntimeError, match='counts'):
        FeatureReplay(2, 1)(rois([0]), None, None)


@pytest.mark.parametrize('kwargs', [dict(num_features_per_class=0), dict(max_images=-1),
                                    dict(max_classes=0), dict(num_features_per_class=61)])
def test_arguments_out_of_range_are_named(kwargs):
    with pytest.raises(ValueError, match=rf'FeatureReplay\({[*kwargs][0]}='):
        FeatureReplay(3, 2, **kwargs)
