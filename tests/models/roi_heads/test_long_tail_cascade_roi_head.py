import bacl  # noqa: F401
import pytest
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData

C, STAGES, STAGE_WEIGHTS = 3, 3, [1, 0.5, 0.25]


def cascade_cfg(**kwargs):
    def rcnn(iou):
        return dict(
            assigner=dict(type='MaxIoUAssigner', pos_iou_thr=iou, neg_iou_thr=iou,
                          min_pos_iou=iou, match_low_quality=False),
            sampler=dict(type='RandomSampler', num=4, pos_fraction=0.5,
                         add_gt_as_proposals=True),
            pos_weight=-1, debug=False)

    return ConfigDict(dict(
        type='FHMCascadeRoIHead',
        hallucinator=dict(type='FeatureHallucinator', num_sampled_classes=4,
                          num_features_per_class=5),
        num_stages=STAGES,
        stage_loss_weights=STAGE_WEIGHTS,
        bbox_roi_extractor=dict(
            type='SingleRoIExtractor', out_channels=4, featmap_strides=[4],
            roi_layer=dict(type='RoIAlign', output_size=3, sampling_ratio=2)),
        bbox_head=[
            dict(type='Shared2FCBBoxHead', in_channels=4, fc_out_channels=6, roi_feat_size=3,
                 num_classes=C, reg_class_agnostic=True,
                 loss_cls=dict(type='FCBL', num_classes=C),
                 loss_bbox=dict(type='L1Loss')) for _ in range(STAGES)
        ],
        train_cfg=[rcnn(iou) for iou in (0.5, 0.6, 0.7)],
        test_cfg=dict(score_thr=0.0, nms=dict(type='nms', iou_threshold=0.5), max_per_img=5),
    ), **kwargs)


def host_cfg():
    cfg = cascade_cfg(type='CascadeRoIHead')
    cfg.pop('hallucinator')
    return cfg


def batch(labels_per_image, num_proposals=6, seed=0):
    torch.manual_seed(seed)
    x = (torch.randn(len(labels_per_image), 4, 16, 16),)
    proposals, samples = [], []
    for labels in labels_per_image:
        corner = torch.rand(len(labels), 2) * 30
        gt = InstanceData(bboxes=torch.cat([corner, corner + 10 + torch.rand_like(corner) * 20],
                                           dim=1), labels=torch.tensor(labels, dtype=torch.long))
        corner = torch.rand(num_proposals, 2) * 30
        proposals.append(InstanceData(bboxes=torch.cat([corner, corner + 15], dim=1)))
        sample = DetDataSample(metainfo=dict(img_shape=(64, 64), scale_factor=(1., 1.)))
        sample.gt_instances = gt
        samples.append(sample)
    return x, proposals, samples


def num_observed(head):
    """Samples that the indicator of each stage has seen."""
    return [box_head.loss_cls.indicator.num_samples.sum().item() for box_head in head.bbox_head]


def test_every_stage_has_a_state_of_its_own():
    head = MODELS.build(cascade_cfg())
    losses = head.loss(*batch([[0, 1], [1]]))
    assert {f's{stage}.{name}' for stage in range(STAGES)
            for name in ('loss_cls', 'loss_bbox', 'acc')} == set(losses)
    sums = [box_head.loss_cls.indicator.score_sum for box_head in head.bbox_head]
    means = [hallucinator.distribution.mean for hallucinator in head.augmenters]
    assert len(sums) == len(means) == STAGES
    for states in (sums, means):
        for first, second in ((0, 1), (0, 2), (1, 2)):
            assert states[first].any() and not torch.equal(states[first], states[second])
    for hallucinator in head.augmenters:
        assert hallucinator.distribution.is_known.tolist() == [True, True, False]


def test_statistics_of_a_stage_are_its_own_classifiers_inputs(monkeypatch):
    head, seen = MODELS.build(cascade_cfg()), []
    for hallucinator in head.augmenters:
        monkeypatch.setattr(hallucinator.distribution, 'observe',
                            lambda *args: seen.append(args))
    x, proposals, samples = batch([[2]])
    torch.manual_seed(3)
    head.loss(x, proposals, samples)
    torch.manual_seed(3)
    for stage, (feats, labels) in enumerate(seen):
        boxes = head.augmenters[stage].box_generator(samples[0].gt_instances.bboxes, (64, 64))
        rois = torch.cat([torch.zeros(16, 1), boxes], dim=1)
        expected = head.bbox_roi_extractor[stage](x, rois).flatten(1)
        for fc in head.bbox_head[stage].shared_fcs:
            expected = fc(expected).relu()
        torch.testing.assert_close(feats, expected)
        assert labels.tolist() == [2] * 16 and not feats.requires_grad
    assert len(seen) == STAGES


def test_hallucinated_samples_of_a_stage_have_its_loss_weight():
    head, calls = MODELS.build(cascade_cfg()), []

    def spy(module, args, loss):
        calls.append((len(args[0]), loss))

    for box_head in head.bbox_head:
        box_head.loss_cls.register_forward_hook(spy)
    losses = head.loss(*batch([[0, 1], [1]]))
    assert len(calls) == STAGES
    for stage, (num_samples, loss) in enumerate(calls):
        assert num_samples > 8  # at most four RoIs of each image; the others are hallucinated
        assert losses[f's{stage}.loss_cls'] == STAGE_WEIGHTS[stage] * loss


@pytest.mark.parametrize('hallucinator', [None, dict(type='FeatureHallucinator')])
def test_without_hallucination_the_head_is_its_host(hallucinator):
    head, host = MODELS.build(cascade_cfg(hallucinator=hallucinator)), MODELS.build(host_cfg())
    host.load_state_dict(head.state_dict(), strict=False)
    for augmenter in head.augmenters:
        augmenter.hallucinating = False
    for sampler in head.bbox_sampler + host.bbox_sampler:
        sampler.num = 100  # all RoIs, since jittering changes what a random choice would be
    results = []
    for roi_head in (head, host):
        losses = roi_head.loss(*batch([[0, 1], [1]]))
        sum(value for name, value in losses.items() if 'loss' in name).backward()
        results.append((losses, roi_head.bbox_head[0].shared_fcs[0].weight.grad))
    assert results[0][0] == results[1][0]
    assert torch.equal(results[0][1], results[1][1])


def test_prediction_is_the_hosts():
    head, host = MODELS.build(cascade_cfg()).eval(), MODELS.build(host_cfg()).eval()
    host.load_state_dict(head.state_dict(), strict=False)
    for ours, theirs in zip(*(model.predict(*batch([[0], [1]])) for model in (head, host)),
                            strict=True):
        assert len(ours) and ours.scores.isfinite().all()
        assert torch.equal(ours.scores, theirs.scores)
        assert torch.equal(ours.bboxes, theirs.bboxes) and torch.equal(ours.labels, theirs.labels)


def test_scores_are_those_of_the_mean_logits():
    head = MODELS.build(cascade_cfg()).eval()
    for stage, box_head in enumerate(head.bbox_head):
        torch.nn.init.zeros_(box_head.fc_cls.weight)
        # Mean logits of 1, 0, -1 for the classes and 2 for background.
        box_head.fc_cls.bias.data = torch.tensor([1., 0, -1, 2]) * stage
    scores = torch.cat([result.scores for result in head.predict(*batch([[0]]))])
    object_score = 1 - torch.tensor(2.).sigmoid()
    expected = torch.tensor([1., 0, -1]).sigmoid() * object_score
    assert len(scores) and torch.isclose(scores[:, None], expected).any(dim=1).all()


@pytest.mark.parametrize('labels, num_proposals', [
    ([[0, 1], [1]], 6), ([[0, 1], []], 6), ([[], []], 6),
    ([[0, 1], []], 0),  # the second image has no RoI at all, the first only its ground truth
])
def test_every_stage_takes_part_in_every_sum_over_ranks(monkeypatch, labels, num_proposals):
    head, calls = MODELS.build(cascade_cfg()), []

    def spy(module, name):
        observe = module.observe
        monkeypatch.setattr(module, 'observe',
                            lambda *args: (calls.append(name), observe(*args)))

    for stage in range(STAGES):
        spy(head.augmenters[stage].distribution, f'distribution {stage}')
        spy(head.bbox_head[stage].loss_cls.indicator, f'indicator {stage}')
    losses = head.loss(*batch(labels, num_proposals))
    assert all(losses[f's{stage}.loss_cls'].isfinite() for stage in range(STAGES))
    assert calls == [f'{state} {stage}' for stage in range(STAGES)
                     for state in ('distribution', 'indicator')]


def test_a_batch_without_ground_truth_changes_no_statistics():
    head = MODELS.build(cascade_cfg())
    head.loss(*batch([[0, 1], [1]]))
    before = [h.distribution.mean.clone() for h in head.augmenters]
    for augmenter in head.augmenters:
        augmenter.hallucinating = False
    observed = num_observed(head)
    head.loss(*batch([[], []]))
    assert num_observed(head) == observed
    for mean, hallucinator in zip(before, head.augmenters, strict=True):
        assert torch.equal(hallucinator.distribution.mean, mean)


def test_state_of_every_stage_is_in_the_checkpoint():
    keys = set(MODELS.build(cascade_cfg()).state_dict())
    for stage in range(STAGES):
        assert {f'augmenters.{stage}.distribution.mean',
                f'bbox_head.{stage}.loss_cls.indicator.score_sum'} <= keys


def test_a_stage_whose_loss_has_no_indicator_is_refused():
    cfg = cascade_cfg()
    cfg.bbox_head[2].loss_cls = dict(type='ObjectnessBCELoss', num_classes=C)
    with pytest.raises(TypeError, match='indicator.*ObjectnessBCELoss'):
        MODELS.build(cfg)


@pytest.mark.parametrize('augmenter', [
    dict(type='MemorySampler'), dict(type='FeatureReplay', counts=[3, 2, 1]),
    dict(type='FASA', counts=[3, 2, 1], start=0)], ids=lambda cfg: cfg['type'])
def test_every_stage_has_an_augmenter_of_its_own_of_any_kind(augmenter):
    cfg = cascade_cfg(type='LongTailCascadeRoIHead', augmenter=augmenter)
    cfg.pop('hallucinator')
    for box_head in cfg.bbox_head:
        box_head.loss_cls = dict(type='EquilibriumLoss')
    head = MODELS.build(cfg)
    for _ in range(2):
        losses = head.loss(*batch([[0, 1], [1]]))
    assert all(value.isfinite() for value in losses.values())
    states = [torch.cat([value.double().flatten().nan_to_num() for value in part.buffers()])
              for part in head.augmenters]
    for first, second in ((0, 1), (0, 2), (1, 2)):
        assert states[first].any() and not torch.equal(states[first], states[second])
