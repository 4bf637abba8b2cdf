"""CLIS as a detector: which loss reaches which part, pairs, and what a prediction needs."""
from copy import deepcopy
from pathlib import Path

import bacl  # noqa: F401
import pytest
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData

CONFIG = Path(__file__).parents[3] / 'configs/_base_/models/faster-rcnn_effnet-lite0_fpn_clis.py'
C = 3
OBJECT_LOSSES = {'loss_rpn_cls', 'loss_rpn_bbox', 'loss_cls', 'loss_bbox', 'loss_objectness'}
IMAGE_LOSSES = {'loss_image_label', 'loss_contrastive'}
PARTS = ('backbone', 'cls_fcs', 'reg_fcs', 'shared_fcs', 'image_fcs', 'fc_cls', 'fc_reg', 'fc_obj',
         'fc_im', 'projection')


def config(one_stack=False, loss='SigmoidBCELoss', **roi_head):
    model = Config.fromfile(CONFIG).model
    model.backbone.init_cfg = None
    model.train_cfg.rpn_proposal.max_per_img = model.test_cfg.rpn.max_per_img = 30
    model.roi_head.update(embed_dims=4, **roi_head)
    model.roi_head.bbox_head.update(num_classes=C, fc_out_channels=8)
    model.roi_head.bbox_head.loss_cls.type = loss
    if one_stack:
        model.roi_head.bbox_head.update(num_shared_fcs=2, num_cls_fcs=0, num_reg_fcs=0)
    return model


def build(**kwargs):
    init_default_scope('mmdet')  # also for a fixture of the module
    torch.manual_seed(0)
    model = MODELS.build(config(**kwargs))
    for name in ('neck', 'rpn_head', 'roi_head'):
        getattr(model, name).init_weights()
    return model.train()


def data(*kinds):
    """Images of 64 x 64 pixels: 'objects', 'pasted' (objects, and the region of a pair), or
    'single', pictures of the classes 0, 1 and 2, as many of them in pairs as there are pasted.
    """
    generator = torch.Generator().manual_seed(0)
    samples, pairs = [], dict(pasted=0, single=0)
    for kind in kinds:
        meta = dict(img_shape=(64, 64), ori_shape=(64, 64), scale_factor=(1., 1.),
                    pad_shape=(64, 64), batch_input_shape=(64, 64))
        sample = DetDataSample(metainfo=meta)
        boxes, labels = [[4, 4, 30, 30], [20, 30, 60, 60]], [0, 2]
        number = pairs.get(kind)
        if kind == 'single':
            sample.set_metainfo(dict(source='image_level'))
            boxes, labels = [[8, 8, 56, 56]], [number % C]
        elif kind == 'pasted':
            boxes, labels = [*boxes, [30, 2, 50, 22]], [*labels, number % C]
        if number is not None:
            pairs[kind] += 1
            if number < min(kinds.count('pasted'), kinds.count('single')):
                sample.set_metainfo(dict(pair_id=number))
        sample.gt_instances = InstanceData(bboxes=torch.tensor(boxes, dtype=torch.float32),
                                           labels=torch.tensor(labels))
        samples.append(sample)
    return torch.randn(len(kinds), 3, 64, 64, generator=generator), samples


def losses_of(model, *kinds):
    torch.manual_seed(1)  # of the sampled RoIs
    losses = model.loss(*data(*kinds))
    return {name: sum(value) if isinstance(value, list) else value
            for name, value in losses.items() if 'loss' in name}


def reached(model, loss):
    model.zero_grad()
    loss.backward(retain_graph=True)
    grads = [(name.split('.'), parameter.grad) for name, parameter in model.named_parameters()]
    return {part for part in PARTS
            if any(part in name and grad is not None and grad.any() for name, grad in grads)}


@pytest.fixture(scope='module')
def model():
    return build()


PAIRS = ('pasted', 'pasted', 'single', 'single')


def test_which_loss_reaches_which_part(model):
    losses = losses_of(model, *PAIRS)
    assert set(losses) == OBJECT_LOSSES | IMAGE_LOSSES
    assert {name: reached(model, loss) for name, loss in losses.items() if 'rpn' not in name} == {
        'loss_cls': {'backbone', 'cls_fcs', 'fc_cls'},
        'loss_bbox': {'backbone', 'reg_fcs', 'fc_reg'},
        'loss_objectness': {'backbone', 'reg_fcs', 'fc_obj'},
        'loss_image_label': {'backbone', 'cls_fcs', 'fc_im'},
        'loss_contrastive': {'backbone', 'cls_fcs', 'projection'}}


def test_with_layers_of_its_own_image_classification_reaches_no_layer_that_detects():
    model = build(shares_stack=False, contrastive_loss=None)
    losses = losses_of(model, *PAIRS)
    assert reached(model, losses['loss_image_label']) == {'backbone', 'image_fcs', 'fc_im'}
    assert reached(model, losses['loss_cls']) == {'backbone', 'cls_fcs', 'fc_cls'}


def test_with_one_stack_everything_reaches_it():
    model = build(one_stack=True)
    losses = losses_of(model, *PAIRS)
    assert all('shared_fcs' in reached(model, losses[name]) for name in (
        'loss_cls', 'loss_bbox', 'loss_objectness', *IMAGE_LOSSES))


@pytest.mark.parametrize('kwargs', [{}, dict(shares_stack=False),
                                    dict(image_loss=dict(type='SigmoidBCELoss')),
                                    dict(loss='EqualizationLossV2'), dict(loss='SoftmaxCELoss')])
def test_all_batches_have_the_same_losses_and_gradients_of_all_parameters(kwargs):
    model = build(**kwargs)
    for kinds in (PAIRS, ['objects'], ['single'], ['objects', 'single']):
        losses = losses_of(model, *kinds)
        assert set(losses) == OBJECT_LOSSES | IMAGE_LOSSES
        assert all(loss.isfinite() for loss in losses.values())
        model.zero_grad()
        sum(losses.values()).backward()
        assert not [name for name, parameter in model.named_parameters()
                    if parameter.requires_grad and parameter.grad is None]
        if 'single' not in kinds:
            assert not model.roi_head.fc_im.weight.grad.any()


def test_pictures_have_the_losses_of_images_alone(model):
    losses = losses_of(model, 'single', 'single')
    assert all(losses[name].item() == 0 for name in OBJECT_LOSSES)
    assert losses['loss_image_label'] > 0 and losses['loss_contrastive'].item() == 0
    alone, mixed = losses_of(model, 'objects'), losses_of(model, 'objects', 'single')
    for name in OBJECT_LOSSES:
        torch.testing.assert_close(mixed[name], alone[name])


def test_a_pasted_region_meets_its_own_picture(model, monkeypatch):
    seen = []
    monkeypatch.setattr(model.roi_head.contrastive_loss, 'forward', lambda *args: seen.append(
        args) or args[0].sum())
    inputs, samples = data('pasted', 'single', 'objects', 'pasted', 'single', 'single')
    for sample, pair_id in ((samples[1], 1), (samples[4], 0)):
        sample.set_metainfo(dict(pair_id=pair_id))
    torch.manual_seed(1)
    model.loss(inputs, samples)
    x, head = model.extract_feat(inputs), model.roi_head
    empty = torch.zeros(0, 4)
    pasted, coarse = torch.tensor([[30., 2, 50, 22]]), torch.tensor([[8., 8, 56, 56]])
    (first, second, labels), = seen
    expected = [head.projection(head._class_feats(x, boxes)[0]) for boxes in (
        [pasted, empty, empty, pasted, empty, empty], [empty, coarse, empty, empty, coarse, empty])]
    torch.testing.assert_close(first, expected[0])
    torch.testing.assert_close(second, expected[1].flip(0))
    assert labels.tolist() == [1, 0]


def test_a_picture_without_a_class_is_left_out(model):
    inputs, samples = data('objects', 'single', 'single')
    samples[2].gt_instances.labels[:] = -1
    loss = model.loss(inputs, samples)['loss_image_label']
    expected = model.loss(inputs[:2], samples[:2])['loss_image_label']
    torch.testing.assert_close(loss, expected)


def test_what_a_prediction_needs(model):
    state = model.state_dict()
    cfg = config()
    cfg.type, cfg.roi_head.type = 'FasterRCNN', 'LongTailRoIHead'
    for name in ('image_loss', 'contrastive_loss', 'shares_stack', 'embed_dims'):
        del cfg.roi_head[name]
    plain = MODELS.build(cfg)
    missing, unused = plain.load_state_dict(state, strict=False)
    assert not missing
    assert {name.split('.')[1] for name in unused} == {'fc_im', 'projection'}
    inputs, samples = data('objects')

    def predict(detector):
        with torch.no_grad():
            return detector.eval().predict(inputs, deepcopy(samples))[0].pred_instances

    expected = predict(plain)
    # Layers for training alone: none is called.
    for layer in (model.roi_head.fc_im, model.roi_head.projection):
        layer.forward = None
    ours = predict(model)
    for layer in (model.roi_head.fc_im, model.roi_head.projection):
        del layer.forward
    model.train()
    assert len(ours) and torch.equal(ours.scores, expected.scores)
    assert torch.equal(ours.bboxes, expected.bboxes)


def test_from_stage_1_the_detector_starts_with_its_predictions():
    cfg = config(one_stack=True, loss='ObjectnessBCELoss')
    cfg.type, cfg.roi_head.type = 'FasterRCNN', 'StandardRoIHead'
    for name in ('image_loss', 'contrastive_loss', 'shares_stack', 'embed_dims'):
        del cfg.roi_head[name]
    cfg.roi_head.bbox_head.type = 'Shared2FCBBoxHead'
    for name in ('num_shared_fcs', 'num_cls_fcs', 'num_reg_fcs', 'objectness_weight'):
        del cfg.roi_head.bbox_head[name]
    torch.manual_seed(5)
    stage1 = MODELS.build(cfg).eval()
    inputs, samples = data('objects')
    with torch.no_grad():
        theirs = stage1.predict(inputs, deepcopy(samples))[0].pred_instances
        for kwargs in ({}, dict(shares_stack=False), dict(one_stack=True)):
            model = build(**kwargs).eval()
            missing, _ = model.load_state_dict(stage1.state_dict(), strict=False)
            assert {name.split('.')[1] for name in missing} == {'fc_im', 'projection'}
            ours = model.predict(inputs, deepcopy(samples))[0].pred_instances
            torch.testing.assert_close(ours.scores, theirs.scores)
            torch.testing.assert_close(ours.bboxes, theirs.bboxes)


def test_without_image_level_losses_it_is_a_plain_detector():
    model = build(image_loss=None, contrastive_loss=None)
    assert not [name for name in model.state_dict() if 'fc_im' in name or 'projection' in name]
    assert set(losses_of(model, 'objects')) == OBJECT_LOSSES


@pytest.mark.parametrize(('change', 'error', 'message'), [
    (dict(box_rule='best'), ValueError, "box_rule=.*'largest', got 'best'"),
    (dict(box_rule='largest'), ValueError, "one region seen twice. Choose 'coarse', or None"),
    (dict(shares_stack=False, image_loss=None, contrastive_loss=None), ValueError,
     'its layers would learn nothing'),
    (dict(shares_stack=False, bbox_head=dict(
        type='CLISBBoxHead', in_channels=64, num_classes=C, fc_out_channels=8, num_cls_convs=1,
        num_cls_fcs=1, num_reg_fcs=1, loss_cls=dict(type='SigmoidBCELoss'))), ValueError,
     'got one with convolutions or pooling'),
    (dict(image_loss=dict(type='SoftmaxCELoss')), ValueError,
     'image_loss=.* a loss of 3 classes, got SoftmaxCELoss, which has 4 channels'),
    (dict(bbox_head=dict(type='IterativeBBoxHead', in_channels=64, num_classes=C,
                         loss_cls=dict(type='SoftmaxCELoss'))), TypeError, 'runs a layer fc_cls'),
])
def test_what_does_not_fit_is_refused(change, error, message):
    cfg = config()
    cfg.roi_head.pop('bbox_head' if 'bbox_head' in change else '', None)
    with pytest.raises(error, match=message):
        MODELS.build({**cfg, 'roi_head': {**cfg.roi_head, **change}})


def test_pictures_are_classified_on_their_largest_proposal_if_asked(monkeypatch):
    model = build(box_rule='largest', contrastive_loss=None)
    proposal = torch.tensor([[10., 10, 40, 40]])
    monkeypatch.setattr(model.rpn_head, 'predict_by_feat', lambda *args, **kwargs: [
        InstanceData(bboxes=proposal)])
    seen, class_feats = [], model.roi_head._class_feats
    monkeypatch.setattr(model.roi_head, '_class_feats', lambda x, boxes: seen.append(
        [box.tolist() for box in boxes]) or class_feats(x, boxes))
    _, samples = data('single')
    x = model.extract_feat(torch.zeros(1, 3, 64, 64))
    model.roi_head.image_level_loss(x, samples, model._proposals(x, samples))
    assert seen == [[proposal.tolist()]]
