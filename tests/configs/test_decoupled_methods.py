"""Methods that are settings, such as cRT; and numbers of papers whose part is a classifier."""
import pytest
import torch
from bacl.models.losses import SoftmaxCELoss
from mmdet.registry import DATA_SAMPLERS
from torch import nn

R50 = 'faster-rcnn_r50_fpn'
every_data = pytest.mark.parametrize('data', ['lvis-v0.5', 'lvis-v1'])


@pytest.mark.golden('decoupled.npz')
def test_class_aware_sampler_of_mmdet_draws_what_the_official_one_draws(golden, monkeypatch):
    lists = [[image for image in images if image >= 0]
             for images in golden['cas_images_of_class'].tolist()]
    expected = golden['cas_indices'].tolist()
    permutations = [[place for place in row if place >= 0]
                    for row in golden['cas_permutations'].tolist()]
    # Recorded as they were needed; mmdet first shuffles the classes, then the images of each.
    order, *firsts = permutations[:len(lists) + 1]
    firsts = [firsts[order.index(label)] for label in range(len(lists))]
    left = iter([order, *firsts, *permutations[len(lists) + 1:]])

    def randperm(size, generator):
        permutation = next(left)
        assert len(permutation) == size
        return torch.tensor(permutation)

    monkeypatch.setattr(torch, 'randperm', randperm)

    class Images:
        metainfo = dict(classes=range(len(lists)))

        def __len__(self):
            return len(expected)

        def get_cat_ids(self, index):
            return [label for label, images in enumerate(lists) if index in images]

    sampler = DATA_SAMPLERS.build(dict(type='ClassAwareSampler', dataset=Images(), seed=0))
    assert list(sampler) == expected


@pytest.mark.golden('decoupled.npz')
def test_steps_of_a_new_classifier_are_the_closed_form(golden):
    weight = golden['crt_weight_before']
    classifier = nn.Linear(*weight.t().shape, dtype=torch.float64)
    classifier.weight.data, classifier.bias.data = weight, golden['crt_bias_before']
    optimizer = torch.optim.SGD(
        classifier.parameters(), **{key.removeprefix('crt_'): float(golden[key]) for key in (
            'crt_lr', 'crt_momentum', 'crt_weight_decay')})
    loss_cls = SoftmaxCELoss(int(golden['num_classes']))
    for step in range(len(golden['crt_loss'])):
        loss = loss_cls(classifier(golden['features']), golden['labels'], golden['label_weights'],
                        golden['avg_factor'])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        for ours, theirs in ((loss, 'loss'), (classifier.weight.grad, 'grad_weight'),
                             (classifier.weight, 'weight_after'), (classifier.bias, 'bias_after')):
            torch.testing.assert_close(ours.detach(), golden[f'crt_{theirs}'][step], rtol=1e-9,
                                       atol=1e-14)


def learning(model):
    return {name.rpartition('bbox_head.')[2] for name, parameter in model.named_parameters()
            if parameter.requires_grad}


@every_data
@pytest.mark.parametrize('method, parts', [
    ('crt', {'fc_cls.weight', 'fc_cls.bias'}), ('lws', {'fc_cls.class_scale'}),
    ('disalign', {'fc_cls.logit_scale', 'fc_cls.logit_bias', 'fc_cls.confidence.weight',
                  'fc_cls.confidence.bias'}),
    ('disalign-cosine', {'fc_cls.logit_scale', 'fc_cls.logit_bias', 'fc_cls.confidence.weight',
                         'fc_cls.confidence.bias'})])
def test_only_the_parts_of_the_method_learn(build_shapes, load_config, data, method, parts):
    name = f'{R50}_{method}-stage2_{data}'
    assert learning(build_shapes(name)) == parts
    cfg = load_config(name)
    assert cfg.model.get('fresh', ()) == (('fc_cls',) if method == 'crt' else ())
    is_balanced = method in ('crt', 'lws')
    assert cfg.train_dataloader.sampler == (
        dict(type='ClassAwareSampler') if is_balanced else dict(type='DefaultSampler',
                                                                shuffle=True))


@every_data
def test_disalign_has_the_papers_numbers(build_shapes, data):
    for method, scale in (('disalign', None), ('disalign-cosine', 20)):
        head = build_shapes(f'{R50}_{method}-stage2_{data}').roi_head.bbox_head
        assert (head.loss_cls.rho, getattr(head.fc_cls, 'initial_scale', None)) == (0.8, scale)
    assert build_shapes(f'{R50}_disalign-cosine-stage1_{data}').roi_head.bbox_head.fc_cls \
        .initial_scale == 20


@every_data
def test_tde_has_the_papers_numbers(build_shapes, data):
    layer = build_shapes(f'{R50}_tde-2x_{data}').roi_head.bbox_head.fc_cls
    assert (layer.num_heads, layer.temperature, layer.gamma, layer.alpha, layer.decay) == (
        2, 16, 1 / 32, 1.5, 1 - 0.1 * 0.002)


@every_data
def test_simcal_has_the_papers_numbers(build_shapes, load_config, data):
    name = f'{R50}_simcal-stage2_{data}'
    model, cfg = build_shapes(name), load_config(name)
    assert model.roi_head.threshold == 100 and model.train_cfg.rpn_proposal.max_per_img == 2000
    assert all(part.startswith('roi_head.calibration_heads.0.') for part in learning(model))
    loader = cfg.train_dataloader
    assert (loader.sampler.num_episodes, loader.sampler.classes_per_episode) == (1000, 16)
    assert loader.sampler.classes_per_episode == cfg.auto_scale_lr.base_batch_size
    assert loader.batch_sampler is None  # it would mix episodes
    assert (cfg.optim_wrapper.optimizer, cfg.train_cfg.max_epochs) == (
        dict(type='SGD', lr=0.01, momentum=0, weight_decay=0), 12)
    steps = {step.type: step for step in loader.dataset.dataset.pipeline}
    assert tuple(steps['Resize'].scale) == (1333, 800) and steps['RandomFlip'].prob == 0.5


def test_the_normalised_weights_are_those_of_the_baseline(load_config):
    for data in ('lvis-v0.5', 'lvis-v1'):
        ours, baseline = (load_config(f'{R50}_{method}-2x_{data}').model.to_dict()
                          for method in ('tau-norm', 'sce'))
        assert ours['test_cfg']['rcnn'].pop('calibrator') == dict(type='TauNorm', tau=1.0)
        assert ours['roi_head'].pop('type') == 'LongTailRoIHead'
        baseline['roi_head'].pop('type')
        assert ours == baseline
