import json
import math

import bacl  # noqa: F401
import numpy as np
import pytest
import torch
from bacl.annotations import ClassTable
from bacl.models.losses import ForestLoss, SoftmaxCELoss, forest_scores
from bacl.models.predictors import ForestLinear
from hypothesis import given
from hypothesis import strategies as st
from mmdet.registry import MODELS
from mmengine.config import ConfigDict

official_numbers = pytest.mark.golden('forest.npz')
every_precision = pytest.mark.parametrize('dtype, rtol', [
    (torch.float64, 1e-9), (torch.float32, 1e-5)])
C, PARENTS, TREES = 4, (2, 3), [[0, 0, 1, 1], [0, 1, 2, 0]]


def build(**kwargs):
    return ForestLoss(C, **{'num_parents': PARENTS, 'trees': TREES, **kwargs})


def classifiers(golden):
    return ['fine', *(f'parent_{t}' for t in range(int(golden['num_trees'])))]


def official_loss(golden):
    num_parents = (golden['num_parents'] - 1).tolist()
    trees = [golden[f'parents_{t}'][:-1].tolist() for t in range(len(num_parents))]
    loss = ForestLoss(int(golden['num_classes']), num_parents=num_parents, trees=trees)
    for t, tree in enumerate(loss.parents):
        assert torch.equal(tree, golden[f'parents_{t}'])
    return loss


def official_logits(golden, dtype):
    return torch.cat([golden[f'{name}_logits'] for name in classifiers(golden)], 1).to(dtype)


@official_numbers
@every_precision
def test_equals_official_losses_gradients_and_scores(golden, dtype, rtol):
    loss, logits = official_loss(golden), official_logits(golden, dtype).requires_grad_()
    assert logits.size(1) == loss.get_cls_channels(loss.num_classes)
    args = golden['labels'], golden['label_weights']
    parts = (loss.elementwise(logits, args[0]) * args[1][:, None]).sum(0) / golden['avg_factor']
    value = loss(logits, *args, avg_factor=float(golden['avg_factor']))
    value.backward()
    for ours, theirs in (
            (value, golden['loss']), (loss.get_activation(logits), golden['scores']),
            (parts, torch.stack([golden[f'{name}_loss'] for name in classifiers(golden)])),
            (logits.grad, torch.cat([golden[f'{name}_grad_logits']
                                     for name in classifiers(golden)], 1))):
        torch.testing.assert_close(ours.detach().double(), theirs, rtol=rtol, atol=rtol * 1e-3)


@official_numbers
@every_precision
def test_equals_official_loss_without_foreground(golden, dtype, rtol):
    loss, logits = official_loss(golden), official_logits(golden, dtype).requires_grad_()
    labels = torch.full_like(golden['labels'], loss.num_classes)
    value = loss(logits, labels)
    value.backward()
    fine = golden['allbg_fine_grad_logits']
    for ours, theirs in ((value, golden['allbg_loss']), (logits.grad[:, :fine.size(1)], fine)):
        torch.testing.assert_close(ours.detach().double(), theirs, rtol=rtol, atol=rtol * 1e-3)


@official_numbers
@every_precision
def test_equals_the_official_head(golden, dtype, rtol):
    loss = official_loss(golden)
    head = MODELS.build(ConfigDict(
        type='ConvFCBBoxHead', num_shared_fcs=1, num_reg_fcs=1, num_classes=loss.num_classes,
        in_channels=golden['x'].size(1), fc_out_channels=golden['hidden'].size(1), roi_feat_size=1,
        cls_predictor_cfg=dict(type='ForestLinear', num_parents=loss.num_parents),
        loss_cls=dict(type='ForestLoss', num_parents=loss.num_parents,
                      trees=loss.parents[:, :-1].tolist()))).to(dtype)
    predictor = head.fc_cls
    official_layers = {head.shared_fcs[0]: 'fc1', head.reg_fcs[0]: 'fc2_reg'}
    for part, name in zip((predictor.fine, *predictor.trees), classifiers(golden), strict=True):
        official_layers |= {part[0]: f'{name}_fc', part[2]: f'{name}_cls'}
    with torch.no_grad():
        for layer, name in official_layers.items():
            layer.weight.copy_(golden[f'{name}_weight'])
            layer.bias.copy_(golden[f'{name}_bias'])
    x = golden['x'].to(dtype).requires_grad_()
    seen = {}
    head.fc_reg.register_forward_pre_hook(lambda _, args: seen.update(reg_hidden=args[0]))
    predictor.register_forward_pre_hook(lambda _, args: seen.update(hidden=args[0]))
    logits, _ = head(x[:, :, None, None])
    head.loss_cls(logits, golden['labels'], golden['label_weights'],
                  avg_factor=float(golden['avg_factor'])).backward()
    pairs = [(logits, official_logits(golden, torch.float64)), (x.grad, golden['grad_x']),
             (seen['hidden'], golden['hidden']), (seen['reg_hidden'], golden['reg_hidden']),
             (head.shared_fcs[0].weight.grad, golden['grad_fc1_weight'])]
    for layer, name in official_layers.items():
        if f'{(part := name.removesuffix("_fc"))}_grad_fc_weight' in golden:
            pairs.append((layer.weight.grad, golden[f'{part}_grad_fc_weight']))
    assert len(pairs) == 5 + len(classifiers(golden))
    for ours, theirs in pairs:
        torch.testing.assert_close(ours.detach().double(), theirs, rtol=rtol, atol=rtol * 1e-3)


def test_scores_by_hand():
    # Parents with the probabilities .6, .2, .2 (background); equal logits of the classes.
    parents = torch.tensor([[0, 0, 1, 2]])
    parent_logits = [torch.tensor([[math.log(3), 0, 0]])]
    scores = forest_scores(torch.zeros(1, 4), parent_logits, parents)
    torch.testing.assert_close(scores, torch.tensor([[0.375, 0.375, 0.125, 0.125]]))


@given(st.lists(st.floats(-50, 50), min_size=C + 1, max_size=C + 1))
def test_parents_that_know_nothing_leave_the_softmax(logits):
    logits = torch.tensor([logits], dtype=torch.float64)
    parent_logits = [torch.full((1, p + 1), 7.0).double() for p in PARENTS]
    scores = forest_scores(logits, parent_logits, build().parents)
    torch.testing.assert_close(scores, logits.softmax(1))
    torch.testing.assert_close(forest_scores(logits, [], build().parents[:0]), logits.softmax(1))


def test_without_trees_it_is_the_softmax_loss():
    logits, labels = torch.randn(6, C + 1), torch.tensor([0, 1, 2, 3, C, C])
    args = logits, labels, torch.rand(6), 3.0
    loss = build(num_parents=(), trees=[])
    torch.testing.assert_close(loss(*args), SoftmaxCELoss(C)(*args))


def test_extreme_parents_leave_scores_finite():
    logits = torch.zeros(1, build().num_channels)
    logits[0, C + 1:] = torch.tensor([-1e4, -1e4, 1e4, -1e4, -1e4, -1e4, 1e4])
    scores = build().get_activation(logits.half())
    assert scores.tolist() == [[0, 0, 0, 0, 1]]


def test_parents_do_not_reach_the_features():
    predictor = ForestLinear(6, build().num_channels, PARENTS)
    feats = torch.randn(5, 6, requires_grad=True)
    predictor(feats)[:, C + 1:].sum().backward()
    assert not feats.grad.any()
    assert predictor.trees[0][0].weight.grad.any()


def test_hidden_layers_start_by_xavier_and_linear_ones_near_zero():
    predictor = ForestLinear(200, build().num_channels, PARENTS)
    torch.nn.init.normal_(predictor.fine[0].weight, std=0.01)  # by the head's init_cfg
    predictor.init_weights()
    for hidden, _, linear in (predictor.fine, *predictor.trees):
        assert hidden.weight.std().item() == pytest.approx((2 / 400) ** 0.5, rel=0.05)
        assert linear.weight.std().item() == pytest.approx(0.01, rel=0.2)
        assert not hidden.bias.any() and not linear.bias.any()


@pytest.fixture
def tree_file(tmp_path):
    def write(trees=TREES):
        path = tmp_path / 'trees.json'
        path.write_text(json.dumps([dict(name='', parents=tree) for tree in trees]))
        return path

    return write


def test_trees_are_read_when_they_are_needed(tree_file):
    path = tree_file()
    loss = build(trees=path)
    assert not loss.has_trees
    loss.set_class_counts(ClassTable(tuple('abcd'), np.ones(C), np.ones(C), 1))
    path.unlink()
    logits, labels = torch.randn(3, loss.num_channels), torch.tensor([0, 2, C])
    assert loss(logits, labels) == build()(logits, labels)


def test_trees_of_a_checkpoint_need_no_file_and_win(tree_file):
    saved = build().state_dict()
    loss = build(trees=tree_file([[0, 0, 0, 0], [1, 1, 1, 1]]))
    loss.load_state_dict(saved)
    assert torch.equal(loss.known_parents(), build().parents)
    other = build(trees=[[0, 0, 0, 0], [1, 1, 1, 1]])  # of the config itself
    other.load_state_dict(saved)
    assert other.parents[:, 0].tolist() == [0, 1]


@pytest.mark.parametrize('trees', [[[0, 0, 1, 2], TREES[1]], [[0, 0, 1], TREES[1]], [TREES[0]],
                                   [[0, -1, 1, 1], TREES[1]]])
def test_other_trees_are_refused(tree_file, trees):
    with pytest.raises(ValueError, match=r'ForestLoss\(trees=\) expects'):
        build(trees=trees)
    if len(trees) == 2:
        with pytest.raises(ValueError, match='trees.json expects'):
            build(trees=tree_file(trees)).known_parents()


def head_cfg(predictor, loss):
    return ConfigDict(type='Shared2FCBBoxHead', in_channels=2, fc_out_channels=6, roi_feat_size=1,
                      num_classes=C, loss_cls=loss, cls_predictor_cfg=predictor)


def test_files_without_trees_and_trees_without_parents_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match='none.json'):
        build(trees='none.json').known_parents()
    (tmp_path / 'annotations.json').write_text('{"images": []}')
    with pytest.raises(ValueError, match='annotations.json has no class trees'):
        build(trees=tmp_path / 'annotations.json').known_parents()
    with pytest.raises(ValueError, match='num_parents='):
        build(num_parents=(0,))


FOREST = dict(type='ForestLoss', num_parents=PARENTS, trees=TREES)


@pytest.mark.parametrize('predictor, loss', [
    (dict(type='Linear'), FOREST), (dict(type='ForestLinear', num_parents=PARENTS[::-1]), FOREST),
    (dict(type='ForestLinear', num_parents=(1,)), dict(type='SoftmaxCELoss'))])
def test_heads_with_other_trees_are_refused(predictor, loss):
    with pytest.raises(ValueError, match='Shared2FCBBoxHead: the trees of the classifier have'):
        MODELS.build(head_cfg(predictor, loss))
