import bacl  # noqa: F401
import pytest
import torch
from bacl.models.augmenters import ExtraSamples, FeatureAugmenter
from bacl.models.predictors import ClassPredictor
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData

C = 3


def roi_head_cfg(**kwargs):
    return ConfigDict(dict(
        type='FHMRoIHead',
        hallucinator=dict(type='FeatureHallucinator', num_sampled_classes=4,
                          num_features_per_class=5),
        bbox_roi_extractor=dict(
            type='SingleRoIExtractor', out_channels=4, featmap_strides=[4],
            roi_layer=dict(type='RoIAlign', output_size=3, sampling_ratio=2)),
        bbox_head=dict(
            type='Shared2FCBBoxHead', in_channels=4, fc_out_channels=6, roi_feat_size=3,
            num_classes=C, loss_cls=dict(type='FCBL', num_classes=C),
            loss_bbox=dict(type='L1Loss')),
        train_cfg=dict(
            assigner=dict(type='MaxIoUAssigner', pos_iou_thr=0.5, neg_iou_thr=0.5,
                          min_pos_iou=0.5, match_low_quality=False),
            sampler=dict(type='RandomSampler', num=8, pos_fraction=0.5,
                         add_gt_as_proposals=True),
            pos_weight=-1, debug=False),
        test_cfg=dict(score_thr=0.0, nms=dict(type='nms', iou_threshold=0.5), max_per_img=5),
    ), **kwargs)


def batch(labels_per_image, seed=0):
    torch.manual_seed(seed)
    x = (torch.randn(len(labels_per_image), 4, 16, 16),)
    proposals, samples = [], []
    for labels in labels_per_image:
        corner = torch.rand(len(labels), 2) * 30
        gt = InstanceData(bboxes=torch.cat([corner, corner + 10 + torch.rand_like(corner) * 20],
                                           dim=1), labels=torch.tensor(labels, dtype=torch.long))
        corner = torch.rand(6, 2) * 30
        proposals.append(InstanceData(bboxes=torch.cat([corner, corner + 15], dim=1)))
        sample = DetDataSample(metainfo=dict(img_shape=(64, 64), scale_factor=(1., 1.)))
        sample.gt_instances = gt
        samples.append(sample)
    return x, proposals, samples


def test_hallucinated_features_reach_the_loss_and_the_indicator():
    head = MODELS.build(roi_head_cfg())
    losses = head.loss(*batch([[0, 1], [1]]))
    assert set(losses) == {'loss_cls', 'loss_bbox', 'acc'}
    (hallucinator,) = head.augmenters
    assert hallucinator.distribution.is_known.tolist() == [True, True, False]
    # Each of the four drawn classes (unknown class 2 yields nothing) adds five samples.
    num_extra = head.bbox_head.loss_cls.indicator.num_samples.sum().item()
    head.augmenters[0].hallucinating = False
    head.bbox_head.loss_cls.indicator.reset()
    head.loss(*batch([[0, 1], [1]]))
    num_extra -= head.bbox_head.loss_cls.indicator.num_samples.sum().item()
    assert num_extra in (5, 10, 15, 20)


def test_statistics_are_those_of_the_classifiers_inputs_around_the_ground_truth(monkeypatch):
    head = MODELS.build(roi_head_cfg())
    x, proposals, samples = batch([[2]])
    (hallucinator,) = head.augmenters
    seen = []
    monkeypatch.setattr(hallucinator.distribution, 'observe', lambda *args: seen.append(args))
    torch.manual_seed(3)
    head.loss(x, proposals, samples)
    torch.manual_seed(3)
    boxes = hallucinator.box_generator(samples[0].gt_instances.bboxes, (64, 64))
    rois = torch.cat([torch.zeros(16, 1), boxes], dim=1)
    expected = head.bbox_roi_extractor(x, rois).flatten(1)
    for fc in head.bbox_head.shared_fcs:
        expected = fc(expected).relu()
    ((feats, labels),) = seen
    torch.testing.assert_close(feats, expected)
    assert labels.tolist() == [2] * 16 and not feats.requires_grad


def test_one_pass_serves_rois_and_ground_truth_and_the_host_sees_the_rois(monkeypatch):
    head = MODELS.build(roi_head_cfg())
    sizes, forward = [], head.bbox_roi_extractor.forward
    monkeypatch.setattr(head.bbox_roi_extractor, 'forward',
                        lambda x, rois: (sizes.append(len(rois)), forward(x, rois))[1])
    results, bbox_loss = [], head.bbox_loss
    monkeypatch.setattr(head, 'bbox_loss',
                        lambda *args: (results.append(bbox_loss(*args)), results[-1])[1])
    head.loss(*batch([[0, 1], [1]]))
    (num_rois,) = {len(results[0][key]) for key in ('cls_score', 'bbox_pred', 'bbox_feats')}
    assert sizes == [num_rois + 3 * 16]


def test_only_the_classifier_gets_gradient_from_hallucinated_features():
    head = MODELS.build(roi_head_cfg())
    grads = []
    for hallucinating in (True, False):
        torch.manual_seed(1)
        head.augmenters[0].hallucinating = hallucinating
        head.zero_grad()
        head.bbox_head.loss_cls.indicator.reset()
        losses = head.loss(*batch([[0, 1], [1]]))
        losses['loss_bbox'].backward(retain_graph=True)
        grads.append(head.bbox_head.shared_fcs[0].weight.grad.clone())
        head.zero_grad()
        losses['loss_cls'].backward()
        grads.append(head.bbox_head.fc_cls.weight.grad.clone())
    assert torch.equal(grads[0], grads[2])
    assert not torch.allclose(grads[1], grads[3])


def test_a_batch_without_ground_truth_trains_on_background():
    head = MODELS.build(roi_head_cfg())
    head.loss(*batch([[0, 1], [1]]))
    before = head.augmenters[0].distribution.mean.clone()
    losses = head.loss(*batch([[], []]))
    assert losses['loss_cls'].isfinite()
    assert torch.equal(head.augmenters[0].distribution.mean, before)


def test_half_precision_leaves_statistics_in_single_and_the_classifier_learns():
    head = MODELS.build(roi_head_cfg())
    with torch.autocast('cpu', dtype=torch.bfloat16):
        losses = head.loss(*batch([[0, 1], [1]]))
    losses['loss_cls'].backward()
    assert head.bbox_head.fc_cls.weight.grad.abs().sum() > 0
    assert head.augmenters[0].distribution.mean.dtype == torch.float32


def test_prediction_is_the_hosts():
    cfg = roi_head_cfg()
    head = MODELS.build(cfg).eval()
    host_cfg = {k: v for k, v in cfg.items() if k != 'hallucinator'} | dict(type='StandardRoIHead')
    host = MODELS.build(ConfigDict(host_cfg)).eval()
    host.load_state_dict(head.state_dict(), strict=False)
    results = []
    for model in (head, host):
        x, proposals, samples = batch([[0], [1]])
        results.append(model.predict(x, proposals, samples))
    for ours, theirs in zip(*results, strict=True):
        assert len(ours) and torch.equal(ours.scores, theirs.scores)
        assert torch.equal(ours.bboxes, theirs.bboxes) and torch.equal(ours.labels, theirs.labels)


def test_state_is_in_the_checkpoint():
    assert {'augmenters.0.distribution.mean', 'augmenters.0.distribution.var',
            'augmenters.0.distribution.is_known'} <= set(
                MODELS.build(roi_head_cfg()).state_dict())


def test_a_loss_without_indicator_is_refused():
    cfg = roi_head_cfg()
    cfg.bbox_head.loss_cls = dict(type='ObjectnessBCELoss', num_classes=C)
    with pytest.raises(TypeError, match='indicator.*ObjectnessBCELoss'):
        MODELS.build(cfg)


def test_a_head_with_other_last_layers_is_refused():
    cfg = roi_head_cfg()
    cfg.bbox_head = dict(
        type='SABLHead', num_classes=C, cls_in_channels=4, reg_in_channels=4, roi_feat_size=3,
        cls_out_channels=6, reg_offset_out_channels=6, reg_cls_out_channels=6,
        bbox_coder=dict(type='BucketingBBoxCoder', num_buckets=6, scale_factor=1.7),
        loss_cls=dict(type='FCBL', num_classes=C))
    with pytest.raises(ValueError, match='FCBL in SABLHead'):
        MODELS.build(cfg)


def test_without_a_hallucinator_the_head_is_its_host():
    head = MODELS.build(roi_head_cfg(hallucinator=None))
    host_cfg = roi_head_cfg(type='StandardRoIHead')
    host_cfg.pop('hallucinator')
    host = MODELS.build(host_cfg)
    host.load_state_dict(head.state_dict())
    results = []
    for roi_head in (head, host):
        results.append(roi_head.loss(*batch([[0, 1], [1]])))
    assert results[0] == results[1]


@MODELS.register_module()
class RecordingAugmenter(FeatureAugmenter):
    """Keeps what it gets and gives what it is told to."""

    def __init__(self, uses_box_targets=False, boxes=False, gives=None, **kwargs):
        super().__init__(**kwargs)
        self.uses_box_targets = uses_box_targets
        if boxes:
            self.box_generator = MODELS.build(dict(type='GTBoxGenerator'))
        self.gives, self.got = gives, []

    def forward(self, rois, boxes, strength):
        self.got.append((rois, boxes, strength))
        if self.gives is None:
            return ExtraSamples(rois.feats[:0], rois.labels[:0])
        return self.gives(rois)


def augmented(type='LongTailRoIHead', loss_cls='ObjectnessBCELoss', **augmenter):
    cfg = roi_head_cfg(type=type, augmenter=dict(type='RecordingAugmenter', **augmenter))
    cfg.pop('hallucinator')
    cfg.bbox_head.loss_cls = dict(type=loss_cls)
    return cfg


@pytest.mark.parametrize('boxes', [True, False])
@pytest.mark.parametrize('uses_box_targets', [True, False])
def test_an_augmenter_sees_rois_and_boxes_with_labels_and_targets(boxes, uses_box_targets,
                                                                  monkeypatch):
    head = MODELS.build(augmented(boxes=boxes, uses_box_targets=uses_box_targets))
    targets, loss = [], head.bbox_head.loss
    monkeypatch.setattr(head.bbox_head, 'loss', lambda *args, **kwargs: (
        targets.append(args[3:]), loss(*args, **kwargs))[1])
    x, proposals, samples = batch([[0, 1], [1]])
    head.loss(x, proposals, samples)
    (rois, seen_boxes, strength), = head.augmenters[0].got
    labels, _, box_targets, box_weights = targets[0]
    assert torch.equal(rois.labels, labels) and rois.feats.shape == (len(labels), 6)
    assert not rois.feats.requires_grad and strength is None
    assert (seen_boxes is not None) == boxes
    if uses_box_targets:
        assert torch.equal(rois.box_targets, box_targets) and box_weights.any()
    else:
        assert rois.box_targets is None
    if boxes:
        assert seen_boxes.labels.tolist() == [0] * 16 + [1] * 32
        assert seen_boxes.feats.shape == (48, 6)
        assert (seen_boxes.box_targets is not None) == uses_box_targets
    if boxes and uses_box_targets:  # decoded, the targets are the ground truth
        assert seen_boxes.box_targets.shape == (48, 4)
        assert not torch.equal(seen_boxes.box_targets, torch.zeros(48, 4))


def test_any_loss_takes_extra_samples_and_an_augmenter_may_own_an_indicator():
    cfg = augmented(indicator=dict(type='ConfusionMatrix'),
                    gives=lambda rois: ExtraSamples(torch.ones(3, 6), torch.tensor([2, 2, 3])))
    head = MODELS.build(cfg)
    head.loss(*batch([[0, 1], [1]]))
    head.loss(*batch([[0, 1], [1]], seed=1))
    first, second = (strength for _, _, strength in head.augmenters[0].got)
    # Before the step it knew nothing; then it has seen RoIs and extra samples, not the void one.
    assert first.tolist() == [0, 0, 0] and (second > 0).all()
    assert head.augmenters[0].indicator.num_samples[2] == 4


@pytest.mark.parametrize('gives, fault', [
    (lambda rois: ExtraSamples(torch.ones(2, 6), torch.tensor([0, 4])), r'\[0, 3\].*0 to 4'),
    (lambda rois: ExtraSamples(torch.ones(2, 6), torch.tensor([-1, 0])), r'\[0, 3\].*-1 to 0'),
    (lambda rois: ExtraSamples(torch.ones(2, 5), torch.tensor([0, 1])), r'\(2, 6\).*\(2, 5\)'),
    (lambda rois: ExtraSamples(torch.ones(1, 6), torch.tensor([0, 1])), r'\(2, 6\).*\(1, 6\)'),
    (lambda rois: ExtraSamples(torch.ones(1, 6), torch.tensor([0]), torch.ones(1, 4)),
     'uses_box_targets'),
    (lambda rois: ExtraSamples(torch.ones(1, 6), torch.tensor([0.])), 'int64.*float32'),
    (lambda rois: ExtraSamples(torch.ones(1, 6), torch.tensor([0]), total_weight=-0.1),
     'total_weight >= 0.*-0.1')])
def test_what_an_augmenter_may_not_give_is_refused(gives, fault):
    head = MODELS.build(augmented(gives=gives))
    with pytest.raises(ValueError, match=f'RecordingAugmenter.*{fault}'):
        head.loss(*batch([[0, 1], [1]]))
    assert not head.bbox_head.fc_cls._forward_pre_hooks
    head.augmenters[0].gives = None
    head.loss(*batch([[0, 1], [1]]))


def test_what_an_augmenter_cannot_be_is_refused_when_built():
    cfg = augmented()
    cfg.augmenter = dict(type='Linear', in_features=2, out_features=2)
    with pytest.raises(TypeError):
        MODELS.build(cfg)
    cfg = augmented(uses_box_targets=True)
    cfg.bbox_head.update(type='ConvFCBBoxHead', num_reg_fcs=1)
    with pytest.raises(TypeError, match='RecordingAugmenter.*num_reg_fcs'):
        MODELS.build(cfg)
    cfg = augmented()
    cfg.augmenter = dict(type='FeatureHallucinator')
    with pytest.raises(TypeError, match='FeatureHallucinator.*ObjectnessBCELoss.*ImageFrequency'):
        MODELS.build(cfg)
    cfg.augmenter.indicator = dict(type='ImageFrequency', counts=[3, 2, 1])
    assert MODELS.build(cfg).loss(*batch([[0, 1], [1]]))['loss_cls'].isfinite()


@MODELS.register_module()
class MeanPredictor(ClassPredictor):
    """Keeps the sum of the foreground features that it sees, and the labels."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.linear = torch.nn.Linear(self.in_features, self.out_features)
        self.seen = []

    def forward(self, feats):
        return self.linear(feats)

    def reset_parameters(self):
        torch.nn.init.normal_(self.linear.weight)

    def observe(self, feats, labels):
        self.seen.append((feats, labels))


@pytest.mark.parametrize('hallucinator', [None, dict(type='FeatureHallucinator')])
def test_a_predictor_observes_the_rois_of_a_step_and_nothing_else(hallucinator):
    cfg = roi_head_cfg(hallucinator=hallucinator)
    cfg.bbox_head.cls_predictor_cfg = dict(type='MeanPredictor')
    head = MODELS.build(cfg)
    results, bbox_loss = [], head.bbox_head.loss

    def spy(*args, **kwargs):
        results.append(args[3])
        return bbox_loss(*args, **kwargs)

    head.bbox_head.loss = spy
    head.loss(*batch([[0, 1], [1]]))
    ((feats, labels),) = head.bbox_head.fc_cls.seen
    assert torch.equal(labels, results[0]) and feats.shape == (len(labels), 6)
    head.eval().predict(*batch([[0], [1]]))
    assert len(head.bbox_head.fc_cls.seen) == 1


def test_the_mean_score_counts_objects():
    """Two objects of class 1 and one of class 0; the four extra samples of class 2 are one."""
    cfg = augmented(gives=lambda rois: ExtraSamples(torch.ones(5, 6),
                                                    torch.tensor([2, 2, C, 2, 2])))
    cfg.bbox_head.loss_cls = dict(
        type='FCBL', indicator=dict(type='MeanClassificationScore', gamma=0.9))
    head = MODELS.build(cfg)
    torch.nn.init.zeros_(head.bbox_head.fc_cls.weight)
    torch.nn.init.zeros_(head.bbox_head.fc_cls.bias)
    head.loss(*batch([[0, 1], [1]]))  # all scores are 0.5
    expected = [0.9 * 0.01 + 0.1 * 0.5, 0.81 * 0.01 + 0.19 * 0.5, 0.9 * 0.01 + 0.1 * 0.5]
    score = head.bbox_head.loss_cls.indicator.value()
    torch.testing.assert_close(score, torch.tensor(expected, dtype=torch.float64))


AUGMENTERS = [
    dict(type='FeatureHallucinator', indicator=dict(type='ImageFrequency', counts=[3, 2, 1])),
    dict(type='MemorySampler', indicator=dict(type='ImageFrequency', counts=[3, 2, 1])),
    dict(type='FeatureReplay', counts=[3, 2, 1]), dict(type='FASA', counts=[3, 2, 1], start=0),
]
every_augmenter = pytest.mark.parametrize('augmenter', AUGMENTERS, ids=lambda cfg: cfg['type'])


def state_of(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def changed(module, before):
    return {name for name, value in module.state_dict().items()
            if not torch.equal(value.nan_to_num(-1), before[name].nan_to_num(-1))}


@every_augmenter
@pytest.mark.parametrize('loss_cls', [
    dict(type='CrossEntropyLoss'), dict(type='EquilibriumLoss'), dict(type='EqualizationLossV2'),
    dict(type='FCBL'), dict(type='SigmoidBCELoss')], ids=lambda cfg: cfg['type'])
def test_any_loss_learns_from_the_samples_of_any_augmenter(loss_cls, augmenter):
    """mmdet's softmax, one of a class each, with and without background, and with a margin."""
    cfg = roi_head_cfg(type='LongTailRoIHead', augmenter=augmenter)
    cfg.pop('hallucinator')
    cfg.bbox_head.loss_cls = loss_cls
    if augmenter['type'] == 'FASA' and loss_cls['type'] not in ('CrossEntropyLoss',
                                                                'EquilibriumLoss'):
        with pytest.raises(ValueError, match=f'FASA in.*softmax.*{loss_cls["type"]}'):
            MODELS.build(cfg)
        return
    head = MODELS.build(cfg)
    shown, forward = [], head.augmenters[0].forward
    head.augmenters[0].forward = lambda *args: shown.append(forward(*args)) or shown[-1]
    for _ in range(2):  # a replay begins with the second
        losses = head.loss(*batch([[0, 1], [1]]))
    assert (shown[-1].labels < C).any() and losses['acc'] >= 0
    sum(value for name, value in losses.items() if 'loss' in name).backward()
    for layer in (head.bbox_head.fc_cls, head.bbox_head.fc_reg, head.bbox_head.shared_fcs[0]):
        assert layer.weight.grad.isfinite().all() and layer.weight.grad.any()
    # Images without objects, also.
    assert all(value.isfinite() for value in head.loss(*batch([[], []])).values())


@every_augmenter
def test_a_pass_for_losses_in_eval_has_no_extra_samples_and_changes_no_state(augmenter):
    cfg = roi_head_cfg(type='LongTailRoIHead', augmenter=dict(augmenter))
    cfg.pop('hallucinator')
    cfg.bbox_head.loss_cls = dict(type='CrossEntropyLoss')
    head, plain = MODELS.build(cfg), MODELS.build(ConfigDict(cfg, augmenter=None))
    head.loss(*batch([[0, 1], [1]]))
    plain.load_state_dict(head.state_dict(), strict=False)
    before = state_of(head)
    with torch.no_grad():
        losses, expected = (part.eval().loss(*batch([[0, 1], [1]])) for part in (head, plain))
    torch.testing.assert_close(losses, expected)
    assert not changed(head, before)


@pytest.mark.parametrize('held_out', [False, True])
def test_fasa_collects_losses_of_training_or_of_held_out_images(held_out):
    cfg = roi_head_cfg(type='LongTailRoIHead', augmenter=dict(
        type='FASA', counts=[3, 2, 1], held_out=held_out, start=0))
    cfg.pop('hallucinator')
    cfg.bbox_head.loss_cls = dict(type='CrossEntropyLoss')
    head = MODELS.build(cfg)
    collected = {f'augmenters.0.{name}' for name in ('loss_sum', 'num_rois')}
    for mode in (True, False):
        before = state_of(head)
        with torch.set_grad_enabled(mode):
            losses = head.train(mode).loss(*batch([[0, 1], [1]]))
        assert (collected <= changed(head, before)) == (mode != held_out)
    if held_out:  # of the RoIs of one batch: their mean is the loss
        (fasa,) = head.augmenters
        assert (fasa.loss_sum.sum() / fasa.num_rois.sum()).item() == pytest.approx(
            losses['loss_cls'].item(), rel=1e-5)


def test_no_extra_samples_with_box_targets_of_classes_are_fine():
    """Boxes of each class: without a row, a layout by classes cannot be told from the numbers."""
    head = MODELS.build(augmented(uses_box_targets=True, gives=lambda rois: ExtraSamples(
        rois.feats[:0], rois.labels[:0], rois.box_targets[:0])))
    assert head.loss(*batch([[0, 1], [1]]))['loss_bbox'].isfinite()
