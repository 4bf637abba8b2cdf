from pathlib import Path

import bacl  # noqa: F401
import numpy as np
import pytest
import torch
from bacl.models.feature_hallucination import (
    ClassFeatureDistribution,
    class_probability,
    sample_classes,
)
from bacl.models.losses import FCBL
from bacl.models.roi_heads.classifier_taps import classifier_inputs, extra_loss_samples
from torch import nn

DATA = Path(__file__).parents[2] / 'data'


class Head(nn.Module):
    def __init__(self, num_feats, num_classes, **kwargs):
        super().__init__()
        self.fc_cls = nn.Linear(num_feats, num_classes + 1)
        self.loss_cls = FCBL(num_classes, **kwargs)


def test_equals_the_official_classification_step():
    """Statistics, sampling, generation, loss, gradients and state of one official step."""
    with np.load(DATA / 'bacl_fhm.npz') as arrays:
        official = {key: torch.from_numpy(np.asarray(value)) for key, value in arrays.items()}
    full = {k.removeprefix('full_'): v for k, v in official.items() if k.startswith('full_')}
    num_classes, num_feats = int(official['num_classes']), int(official['feat_dim'])
    head = Head(num_feats, num_classes, alpha=float(full['alpha']),
                prob_thr=float(full['prob_thr']), with_weight=bool(full['reweight'])).double()
    head.fc_cls.load_state_dict(dict(weight=full['fc_weight'], bias=full['fc_bias']))
    indicator = head.loss_cls.indicator
    indicator.score_sum.copy_(full['cm_numerator_before'])
    indicator.num_samples.copy_(full['num_gt_before'])
    distribution = ClassFeatureDistribution(
        num_classes, num_feats, float(official['decay_ratio'])).double()
    for state, name in ((distribution.mean, 'prototype'), (distribution.var, 'variance'),
                        (distribution.is_known, 'used')):
        state.copy_(official[f'{name}_after_2'])

    distribution.observe(full['stat_embeddings'], full['stat_labels'])
    torch.testing.assert_close(distribution.mean, full['prototype_after'])
    torch.testing.assert_close(distribution.var, full['variance_after'])
    classes = sample_classes(class_probability(indicator.strength()), full['sampling_uniform'])
    classes = classes[distribution.is_known[classes]]
    labels = classes.repeat_interleave(int(official['sampled_num_features']))
    assert torch.equal(labels, full['hallucinated_labels'])
    feats = distribution.sample(labels, full['noise'])
    torch.testing.assert_close(feats, full['hallucinated_features'])

    logits = full['logits'].clone().requires_grad_()
    weights = torch.ones(len(logits), dtype=torch.float64)
    with extra_loss_samples(head, feats, labels):
        loss = head.loss_cls(logits, full['labels'], weights, avg_factor=float(len(logits)))
    loss.backward()
    for ours, theirs in ((loss.detach(), 'loss'), (logits.grad, 'grad_logits'),
                         (head.fc_cls.weight.grad, 'grad_fc_weight'),
                         (head.fc_cls.bias.grad, 'grad_fc_bias'),
                         (indicator.score_sum, 'cm_numerator_after'),
                         (indicator.num_samples, 'num_gt_after')):
        torch.testing.assert_close(ours, full[theirs], rtol=1e-9, atol=1e-14)


def test_the_seams_close_behind_the_block_also_after_an_error():
    head = Head(3, 2)
    logits, labels = torch.randn(4, 3), torch.tensor([0, 1, 2, 2])
    expected = head.eval().loss_cls(logits, labels, torch.ones(4), avg_factor=4)
    with pytest.raises(ZeroDivisionError), classifier_inputs(head), extra_loss_samples(
            head, torch.randn(5, 3), torch.ones(5, dtype=torch.long)):
        raise ZeroDivisionError
    assert head.loss_cls(logits, labels, torch.ones(4), avg_factor=4) == expected


def test_classifier_inputs_are_collected():
    head = Head(3, 2)
    x = torch.randn(4, 3)
    with classifier_inputs(head) as collected:
        head.fc_cls(x)
    assert len(collected) == 1 and collected[0] is x
