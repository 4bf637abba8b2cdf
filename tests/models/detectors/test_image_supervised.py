from copy import deepcopy
from pathlib import Path

import bacl  # noqa: F401
import numpy as np
import pytest
import torch
from bacl.annotations import ClassTable
from bacl.models.detectors.image_supervised import without_boxes
from bacl.models.detectors.taught import pixels
from bacl.models.semantics import RandomTeacher
from cascade import as_cascade, with_centernet
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData

CONFIGS = Path(__file__).parents[3] / 'configs'
C = 3
TABLE = ClassTable(('dog', 'cat', 'cow'), np.full(C, 2), np.full(C, 2), 6)
OBJECT_LOSSES = {'loss_rpn_cls', 'loss_rpn_bbox', 'loss_cls', 'loss_bbox'}


def config(cascade=False, centernet=False, loss='SoftmaxCELoss', **roi_head):
    model = Config.fromfile(CONFIGS / '_base_/models/faster-rcnn_effnet-lite0_fpn.py').model
    model.type, model.backbone.init_cfg = 'ImageSupervisedDetector', None
    model.teacher = dict(type='RandomTeacher', embed_dims=8)
    model.train_cfg.rpn_proposal.max_per_img = 30
    head = model.roi_head.bbox_head
    head.update(num_classes=C, fc_out_channels=8, init_cfg=None, loss_cls=None)
    head.loss_cls = dict(type=loss)
    model.roi_head.update({**dict(
        type='ImageSupervisedRoIHead', image_label_weight=0.1,
        semantic_branch=dict(type='TextCosineLinear', embed_dims=8)), **roi_head})
    if cascade:
        as_cascade(model)
    if centernet:
        with_centernet(model)
    return model


def build(**kwargs):
    init_default_scope('mmdet')  # also for a fixture of the module
    torch.manual_seed(0)
    model = MODELS.build(config(**kwargs))
    model.set_class_counts(TABLE)
    return model.train()


def data(*kinds, seed=0):
    """Images of 64 x 64 pixels: 'objects', or 'coarse' with a label, or 'unlabelled'."""
    generator = torch.Generator().manual_seed(seed)
    samples = []
    for number, kind in enumerate(kinds):
        meta = dict(img_shape=(64, 64), ori_shape=(64, 64), img_path=f'{number}.jpg',
                    scale_factor=(1., 1.), pad_shape=(64, 64), batch_input_shape=(64, 64))
        sample = DetDataSample(metainfo=meta)
        boxes, labels = [[4, 4, 30, 30], [20, 30, 60, 60]], [0, 2]
        if kind != 'objects':
            sample.set_metainfo(dict(source='image_level'))
            boxes, labels = [[0, 0, 64, 64]], [1 if kind == 'coarse' else -1]
        sample.gt_instances = InstanceData(bboxes=torch.tensor(boxes, dtype=torch.float32),
                                           labels=torch.tensor(labels))
        samples.append(sample)
    return torch.randn(len(kinds), 3, 64, 64, generator=generator), samples


def losses_of(model, *kinds):
    torch.manual_seed(1)  # of the sampled RoIs
    losses = model.loss(*data(*kinds))
    return {name: sum(value) if isinstance(value, list) else value
            for name, value in losses.items() if 'loss' in name}


def parts_with_gradient(model, loss):
    model.zero_grad()
    loss.backward(retain_graph=True)
    grads = {name: parameter.grad for name, parameter in model.named_parameters()
             if parameter.requires_grad}
    parts = ('backbone', 'rpn_head', 'shared_fcs', 'fc_cls', 'fc_reg', 'semantic_branch')
    return {part for part in parts
            if any(part in name and grad is not None and grad.any()
                   for name, grad in grads.items())}


@pytest.fixture(scope='module')
def model():
    return build()


def test_which_loss_of_an_image_without_boxes_reaches_which_part(model):
    losses = losses_of(model, 'coarse', 'coarse')
    assert all(losses[name].item() == 0 for name in OBJECT_LOSSES)
    assert parts_with_gradient(model, losses['loss_soft_label']) == {
        'backbone', 'shared_fcs', 'semantic_branch'}
    assert parts_with_gradient(model, losses['loss_image_label']) == {
        'backbone', 'shared_fcs', 'fc_cls'}
    assert not parts_with_gradient(model, sum(losses[name] for name in OBJECT_LOSSES))


def test_which_loss_of_an_image_with_boxes_reaches_which_part(model):
    losses = losses_of(model, 'objects')
    assert parts_with_gradient(model, losses['loss_soft_label']) == {
        'backbone', 'shared_fcs', 'semantic_branch'}
    assert not parts_with_gradient(model, losses['loss_image_label'])
    assert parts_with_gradient(model, losses['loss_cls']) == {
        'backbone', 'shared_fcs', 'fc_cls'}


def test_an_image_without_a_class_has_soft_labels_alone(model):
    losses = losses_of(model, 'unlabelled')
    assert losses['loss_soft_label'] > 0 and losses['loss_image_label'].item() == 0
    assert not parts_with_gradient(model, losses['loss_image_label'])


def test_objects_have_the_losses_that_they_have_without_the_others(model):
    alone, mixed = losses_of(model, 'objects'), losses_of(model, 'objects', 'coarse')
    for name in OBJECT_LOSSES:
        torch.testing.assert_close(mixed[name], alone[name])
    assert mixed['loss_soft_label'] != alone['loss_soft_label']


@pytest.mark.parametrize('host', [{}, dict(cascade=True), dict(cascade=True, centernet=True)])
def test_all_batches_have_the_same_losses_and_every_parameter_a_gradient(host):
    model = build(**host)
    names = []
    for kinds in (['objects'], ['coarse'], ['unlabelled', 'objects']):
        losses = losses_of(model, *kinds)
        assert all(loss.isfinite() for loss in losses.values())
        names.append(set(losses))
        # DDP waits for a gradient of every parameter.
        model.zero_grad()
        sum(losses.values()).backward()
        assert not [name for name, parameter in model.named_parameters()
                    if parameter.requires_grad and parameter.grad is None]
    assert names[0] == names[1] == names[2] >= {'loss_soft_label', 'loss_image_label'}
    assert len(names[0]) == (8 if host else 6)


def test_only_a_semantic_branch_learns_from_images_of_no_class(model):
    assert not model.needs_image_labels and build(semantic_branch=None).needs_image_labels
    cfg = with_text_classifier()
    assert MODELS.build(cfg).needs_image_labels


def with_text_classifier():
    """A config without a branch whose classifier needs text embeddings."""
    cfg = config(semantic_branch=None)
    cfg.roi_head.bbox_head.cls_predictor_cfg = dict(
        type='TextCosineLinear', embed_dims=8, with_background=True)
    return cfg


def test_the_soft_label_of_a_positive_is_that_of_its_object():
    model = build(image_label_weight=0.0)
    inputs, samples = data('objects')
    model.loss(inputs, samples)
    target = samples[0].gt_instances.teacher_logits
    # A branch that knows the logits of each object: the loss is 0 if it is asked for these.
    seen = []
    model.roi_head.image_level_loss = lambda *args: seen.append(model.roi_head._positives) or {}
    torch.manual_seed(1)
    model.loss(inputs, samples)
    feats, logits = seen[0]
    assert len(feats) == len(logits) >= 2
    assert {tuple(row.tolist()) for row in logits} == {tuple(row.tolist()) for row in target}


def test_a_loss_learns_nothing_of_objects_that_are_not_there():
    model = build(loss='EqualizationLossV2', image_label_weight=0.0)
    loss = model.roi_head.bbox_head.loss_cls
    before = deepcopy(loss.state_dict())
    losses_of(model, 'coarse')
    assert all(torch.equal(value, before[name]) for name, value in loss.state_dict().items())
    losses_of(model, 'objects')
    assert not all(torch.equal(value, before[name]) for name, value in loss.state_dict().items())


@pytest.mark.parametrize('loss', ['EqualizationLossV2', 'FCBL'])
def test_nor_of_what_an_augmenter_adds(loss):
    frequency = dict(type='ImageFrequency', counts=[2, 2, 2])
    own = dict(loss=loss, image_label_weight=0.0, augmenter=dict(
        type='FeatureHallucinator', indicator=frequency if loss != 'FCBL' else None))
    cfg = config(**own)
    if loss == 'FCBL':
        cfg.roi_head.bbox_head.loss_cls.indicator = dict(type='ConfusionMatrix')
    torch.manual_seed(0)
    model = MODELS.build(cfg).train()
    model.set_class_counts(TABLE)
    loss = model.roi_head.bbox_head.loss_cls
    losses_of(model, 'objects')  # of whose features the augmenter makes others
    for kind in ('objects', 'coarse'):
        before = deepcopy(loss.state_dict())
        losses_of(model, kind)
        same = [torch.equal(value, before[name]) for name, value in loss.state_dict().items()
                if 'active' not in name and 'num_negatives' not in name]
        assert all(same) == (kind == 'coarse')


def test_a_branch_has_the_scale_of_its_teacher():
    model = MODELS.build(config(semantic_branch=dict(
        type='TextCosineLinear', embed_dims=8, scale=5.0)))
    with pytest.raises(ValueError, match='semantic_branch expects the scale .* 100, got 5. Set'):
        model.set_class_counts(TABLE)


def test_predictions_need_neither_teacher_nor_branch(model):
    state = model.state_dict()
    assert not [name for name in state if 'teacher' in name or 'projection' in name]
    cfg = config()
    cfg.type, cfg.roi_head.type = 'FasterRCNN', 'LongTailRoIHead'
    for name in ('semantic_branch', 'image_label_weight'):
        del cfg.roi_head[name]
    del cfg.teacher
    plain = MODELS.build(cfg)
    plain.load_state_dict({name: value for name, value in state.items()
                           if 'semantic_branch' not in name})
    inputs, samples = data('objects')
    with torch.no_grad():
        ours, theirs = (each.eval().predict(inputs, deepcopy(samples))[0].pred_instances
                        for each in (model, plain))
    model.train()
    assert len(ours) and torch.equal(ours.scores, theirs.scores)
    assert torch.equal(ours.bboxes, theirs.bboxes)


@pytest.mark.parametrize('changes', [
    {}, dict(bgr_to_rgb=False), dict(bgr_to_rgb=False, mean=None, std=None)], ids=str)
def test_the_teacher_sees_the_pixels_of_the_images_as_rgb(changes):
    model = MODELS.build(dict(config().data_preprocessor, **changes))
    image = torch.randint(256, (3, 64, 64), dtype=torch.uint8)  # BGR
    inputs = model(dict(inputs=[image], data_samples=[DetDataSample(
        metainfo=dict(img_shape=(64, 64)))]), True)['inputs']
    torch.testing.assert_close(pixels(inputs, model), image.flip(0)[None] / 255)


def test_images_that_are_loaded_as_rgb_are_refused():
    cfg = config()
    cfg.data_preprocessor.update(bgr_to_rgb=False, rgb_to_bgr=True)
    with pytest.raises(ValueError, match='data_preprocessor=.*BGR, got rgb_to_bgr=True'):
        MODELS.build(cfg)


def test_soft_labels_are_those_of_the_pixels(model):
    inputs, samples = data('objects', 'coarse')
    model.add_teacher_logits(inputs, samples)
    expected = model._teacher[0](pixels(inputs, model.data_preprocessor), samples)
    for sample, logits in zip(samples, expected, strict=True):
        assert torch.equal(sample.gt_instances.teacher_logits, logits)


def test_the_label_of_an_image_is_learned_on_its_largest_proposal(model, monkeypatch):
    proposal = torch.tensor([[8., 8, 40, 40]])
    monkeypatch.setattr(model.rpn_head, 'predict_by_feat', lambda *args, **kwargs: [
        InstanceData(bboxes=proposal), InstanceData(bboxes=proposal[:0])])
    rois, classify = [], model.roi_head._classify
    monkeypatch.setattr(model.roi_head, '_classify', lambda index, x, boxes: rois.append(
        [box.tolist() for box in boxes]) or classify(index, x, boxes))
    whole = [[0, 0, 64, 64]]
    _, samples = data('objects', 'coarse', 'coarse')
    coarse = [without_boxes(samples[0]), *samples[1:]]
    model.add_teacher_logits(torch.zeros(3, 3, 64, 64), coarse)
    x = model.extract_feat(torch.zeros(3, 3, 64, 64))
    model.roi_head.image_level_loss(x, coarse, model._proposals(x, coarse))
    assert rois == [[[], whole, whole], [[], proposal.tolist(), whole]]


def test_accuracies_are_those_of_objects(model):
    assert 'acc' in model.loss(*data('objects')) and 'acc' not in model.loss(*data('coarse'))


def test_a_teacher_of_other_texts_than_the_checkpoint_is_refused(monkeypatch):
    trained = build().state_dict()
    model = MODELS.build(config())
    model.load_state_dict(trained)
    model.set_class_counts(TABLE)  # the same
    embed = RandomTeacher.embed_names
    monkeypatch.setattr(RandomTeacher, 'embed_names',
                        lambda self, names: embed(self, [f'a {name}' for name in names]))
    with pytest.raises(ValueError, match='embeddings of its checkpoint, got others for 3 of 3'):
        model.set_class_counts(TABLE)
    MODELS.build(config()).set_class_counts(TABLE)


def test_what_is_missing_is_named():
    with pytest.raises(TypeError, match='expects a TextCosineLinear, got CosineLinear'):
        MODELS.build(config(semantic_branch=dict(type='CosineLinear')))
    with pytest.raises(RuntimeError, match='expects a teacher.*MethodHook'):
        MODELS.build(with_text_classifier()).loss(*data('objects'))
    cfg = config()
    cfg.roi_head.type = 'LongTailRoIHead'
    for name in ('semantic_branch', 'image_label_weight'):
        del cfg.roi_head[name]
    with pytest.raises(TypeError, match='ImageSupervisedRoIHead.*got LongTailRoIHead'):
        MODELS.build(cfg)
    cfg = config()
    cfg.teacher = None
    model = MODELS.build(cfg)
    with pytest.raises(TypeError, match='TextCosineLinear needs text embeddings.*ConSETeacher'):
        model.set_class_counts(TABLE)
    with pytest.raises(RuntimeError, match='expects a teacher.*MethodHook'):
        model.loss(*data('objects'))
    cfg.teacher = dict(type='RandomTeacher', embed_dims=9)
    with pytest.raises(ValueError, match=r'shape \(3, 8\), got \(3, 9\)'):
        MODELS.build(cfg).set_class_counts(TABLE)
