import bacl  # noqa: F401
import pytest
import torch
from bacl.models.augmenters import (
    GTBoxGenerator,
    MemorySampler,
    Samples,
    inverse_score_probability,
    jitter_boxes,
    sample_classes,
)
from bacl.models.losses import EquilibriumLoss
from bacl.models.roi_heads.classifier_tap import ClassifierTap
from torch import nn


class SumL1(nn.Module):
    """mmdet's L1Loss without the epsilon of its divisor."""

    def forward(self, preds, targets, weights, avg_factor):
        return ((preds - targets).abs() * weights).sum() / avg_factor


class Head(nn.Module):
    with_reg, reg_class_agnostic = True, False

    def __init__(self, golden):
        super().__init__()
        self.num_classes = int(golden['num_classes'])
        self.loss_bbox = SumL1()
        self.loss_cls = EquilibriumLoss(self.num_classes, float(golden['alpha']),
                                        float(golden['bg_score']))
        for name in ('cls', 'reg'):
            layer = nn.Linear(*golden[f'{name}_weight'].t().shape)
            layer.double().load_state_dict(dict(weight=golden[f'{name}_weight'],
                                                bias=golden[f'{name}_bias']))
            setattr(self, f'fc_{name}', layer)


def encode(boxes, gt):
    """Encoded box targets, in float64, which mmdet's coder does not compute in."""
    size, gt_size = (b[:, 2:] - b[:, :2] for b in (boxes, gt))
    center, gt_center = ((b[:, 2:] + b[:, :2]) / 2 for b in (boxes, gt))
    return torch.cat([(gt_center - center) / size / 0.1, (gt_size / size).log() / 0.2], dim=1)


def jittered(golden, step):
    """Features, labels and box targets of the boxes of both images."""
    parts = []
    for gt, labels, uniform in zip(golden['gt_boxes'][step], golden['gt_labels'][step],
                                   golden['jitter_uniform'][step], strict=True):
        boxes = jitter_boxes(gt, GTBoxGenerator().signs * uniform.t(),
                             (int(golden['img_h']), int(golden['img_w'])))
        parts.append((boxes @ golden['feature_matrix'], labels.repeat_interleave(16),
                      encode(boxes, gt.repeat_interleave(16, dim=0))))
    return Samples(*map(torch.cat, zip(*parts, strict=True)))


@pytest.mark.golden('loce_init.npz')
def test_equals_official_steps(golden):
    """Queues, draws, replayed features, losses of both branches, gradients and mean scores."""
    head = Head(golden)
    num_feats = golden['feature_matrix'].size(1)
    sampler = MemorySampler(head.num_classes, num_feats,
                            capacity=int(golden['queue_size'])).double()
    for step in range(len(golden['batches'])):
        def exchange(rois, boxes, step=step):
            sampler.memory.push(jittered(golden, step))
            classes = sample_classes(
                inverse_score_probability(head.loss_cls.indicator.strength()),
                golden['class_uniform'][step])
            assert torch.equal(classes, golden[f'selected_classes_{step}'])
            classes = classes[sampler.memory.size()[classes] > 0]
            slots = golden[f'picked_slots_{step}']
            extra = sampler.memory.take(classes, slots, torch.ones_like(slots, dtype=torch.bool))
            for ours, theirs in ((extra.feats, 'features'), (extra.box_targets, 'targets'),
                                 (extra.labels, 'labels')):
                torch.testing.assert_close(ours, golden[f'replay_{theirs}_{step}'],
                                           rtol=1e-9, atol=1e-12)
            return extra

        feats, labels = golden['roi_features'][step], golden['roi_labels'][step].flatten()
        num_gts = golden['gt_labels'][step].numel()
        # Objects of both images; behind them one for the replayed features of each class.
        objects = golden['roi_assigned_gt'][step].clamp(min=0) + torch.tensor([[0], [num_gts // 2]])
        replayed = golden[f'replay_labels_{step}']
        head.loss_cls.indicator.set_objects(torch.cat([objects.flatten(), num_gts + replayed]),
                                            num_gts + head.num_classes + 1)
        head.zero_grad()
        with ClassifierTap(head, len(feats), exchange):
            cls_score, bbox_pred = head.fc_cls(feats), head.fc_reg(feats)
            loss_cls = head.loss_cls(cls_score, labels, torch.ones(len(feats)).double(),
                                     avg_factor=float(len(feats)))
            positive = labels < head.num_classes
            preds = bbox_pred.view(len(feats), -1, 4)[positive, labels[positive]]
            loss_bbox = head.loss_bbox(
                preds, golden['roi_targets'][step].flatten(0, 1)[positive], torch.ones_like(preds),
                avg_factor=len(feats))
        (loss_cls + loss_bbox).backward()
        for ours, theirs in (
                (loss_cls.detach(), golden['loss_cls'][step]),
                (loss_bbox.detach(), golden['loss_bbox'][step]),
                (head.fc_cls.weight.grad, golden[f'grad_cls_weight_{step}']),
                (head.fc_reg.weight.grad, golden[f'grad_reg_weight_{step}']),
                (head.loss_cls.mean_score(), golden['mean_score_after'][step])):
            torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)
        assert torch.equal(sampler.memory.num_stored % sampler.memory.capacity,
                           golden['queue_ptr_after'][step] % sampler.memory.capacity)
        assert torch.equal(sampler.memory.size() > 0,
                           (golden['queue_labels_after'][step] >= 0).any(dim=1))
    for ours, theirs in ((sampler.memory.feats, 'feat'), (sampler.memory.box_targets, 'target')):
        torch.testing.assert_close(ours[:-1], golden[f'queue_{theirs}_after'],
                                   rtol=1e-9, atol=1e-12)


@pytest.mark.golden('loce.npz')
def test_equals_official_probabilities_and_draws(golden):
    probability = inverse_score_probability(golden['mfs_mean_score'][:-1])
    torch.testing.assert_close(probability, golden['mfs_probability'], rtol=1e-9, atol=0)
    assert torch.equal(sample_classes(probability, golden['mfs_uniform']),
                       golden['mfs_selected_classes'])


def boxes_of(labels, num_feats=2):
    labels = torch.tensor(labels, dtype=torch.long)
    return Samples(labels[:, None].float().expand(-1, num_feats) + 1, labels,
                   labels[:, None].float().expand(-1, 4))


@pytest.mark.parametrize('on_gpu', [False, True], ids=['', 'as on a GPU'])
def test_a_step_stores_then_draws_of_what_is_there(monkeypatch, on_gpu):
    if on_gpu:
        monkeypatch.setattr('bacl.ops.class_groups.is_on_cpu', lambda tensor: False)
    torch.manual_seed(0)
    sampler = MemorySampler(3, 2, num_sampled_classes=40, num_features_per_class=2)
    strength = torch.tensor([0.9, 0.01, 0.01], dtype=torch.float64)
    rois = Samples(torch.zeros(1, 2), torch.tensor([0]), torch.zeros(1, 4))
    feats, labels, box_targets, total_weight = sampler(rois, boxes_of([0, 1, 1]), strength)
    assert total_weight is None and len(feats) == len(labels) == len(box_targets)
    is_there = labels < 3
    assert is_there.all() != on_gpu and len(labels) <= 80  # class 2 is drawn, but not stored
    assert torch.equal(feats[is_there], boxes_of(labels[is_there].tolist()).feats)
    assert torch.equal(box_targets[is_there, 0], labels[is_there].float())
    assert (labels == 1).sum() > 10 * (labels == 0).sum()


def test_all_that_is_stored_of_a_class_is_drawn_evenly():
    torch.manual_seed(0)
    sampler = MemorySampler(1, 1, num_sampled_classes=1, num_features_per_class=3000)
    boxes = Samples(torch.tensor([[1.], [2.], [3.]]), torch.zeros(3).long(), torch.zeros(3, 4))
    extra = sampler(boxes, boxes, torch.zeros(1, dtype=torch.float64))
    counts = torch.bincount(extra.feats[:, 0].long())
    # Of a binomial distribution: four standard deviations, 26 each, leave a chance of 1e-4.
    assert counts[0] == 0 and ((counts[1:] - 1000).abs() < 104).all() and len(counts) == 4


@pytest.mark.parametrize('labels', [[], [0]])
def test_an_empty_memory_gives_nothing(labels):
    sampler = MemorySampler(1, 2)
    rois = Samples(torch.zeros(0, 2), torch.zeros(0, dtype=torch.long), torch.zeros(0, 4))
    extra = sampler(rois, boxes_of(labels), torch.zeros(1, dtype=torch.float64))
    assert len(extra.feats) == len(extra.labels) == 32 * len(labels)


@pytest.mark.parametrize('name', ['num_sampled_classes', 'num_features_per_class', 'capacity'])
def test_arguments_out_of_range_are_named(name):
    with pytest.raises(ValueError, match=f'{name}='):
        MemorySampler(3, 2, **{name: 0})
