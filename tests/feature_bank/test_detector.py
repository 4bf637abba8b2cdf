import numpy as np
import pytest
import torch
from bacl.feature_bank.detector import StoredBoxes, StoredRoIFeatures
from bacl.feature_bank.storage import open_table
from bacl.models.augmenters import GTBoxGenerator
from mmdet.registry import DATASETS, MODELS
from mmengine.dataset import pseudo_collate
from mmengine.runner import Runner, load_checkpoint


def build(cfg, checkpoint):
    model = MODELS.build(cfg.model)
    load_checkpoint(model, str(checkpoint), map_location='cpu', logger='silent')
    return model


def state_after(model, loss):
    """Losses, gradients and the state that training collects, after one step."""
    losses = loss()
    (losses['loss_cls'] + losses['loss_bbox']).backward()
    found = {f'grad.{name}': parameter.grad for name, parameter in model.named_parameters()
             if parameter.grad is not None}
    found |= {name: value for name, value in model.state_dict().items()
              if 'indicator' in name or 'augmenters' in name}
    return found | {name: value.detach() for name, value in losses.items()}


def test_a_step_from_the_bank_is_that_of_the_detector(stage2, toy, over_bank, monkeypatch):
    monkeypatch.setattr('numpy.random.randint', lambda end: 0)  # the first view and draw
    cfg = over_bank()
    banked = build(cfg, toy.checkpoint).train()
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    stored = [dataset[0], dataset[1]]
    data = banked.data_preprocessor(pseudo_collate(stored), True)

    stage2.model.trainable = ('fc_cls', 'fc_reg')
    stage2.train_dataloader.dataset.pipeline[3].prob = 0.0  # as the first view
    online = build(stage2, toy.checkpoint).train()
    dataset = DATASETS.build(stage2.train_dataloader.dataset)
    batch = online.data_preprocessor(pseudo_collate([dataset[0], dataset[1]]), True)
    samples = batch['data_samples']
    x = online.extract_feat(batch['inputs'])
    proposals = online.rpn_head.predict_by_feat(
        *online.rpn_head(x), batch_img_metas=[sample.metainfo for sample in samples],
        cfg=online.train_cfg.rpn_proposal)
    (augmenter,) = online.roi_head.augmenters
    augmenter.box_generator = StoredBoxes(16)
    augmenter.box_generator.boxes = iter([
        torch.from_numpy(item['inputs']['boxes'][-item['inputs']['jittered']:])
        for item in stored])

    torch.manual_seed(7)  # RoIs and hallucinated features are drawn
    expected = state_after(online, lambda: online.roi_head.loss(x, proposals, samples))
    torch.manual_seed(7)
    found = state_after(banked, lambda: banked.loss(**{f'batch_{k}': v for k, v in data.items()}))
    assert found.keys() == expected.keys()
    assert {'grad.roi_head.bbox_head.fc_cls.weight', 'grad.roi_head.bbox_head.fc_reg.weight',
            'roi_head.augmenters.0.distribution.mean'} <= found.keys()
    assert expected['roi_head.augmenters.0.distribution.is_known'].any()
    assert any('indicator' in name and value.abs().sum() > 0 for name, value in expected.items())
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-5, atol=1e-5, msg=name)


def test_predictions_from_the_bank_are_those_of_the_detector(stage2, toy, over_bank):
    cfg = over_bank(training=False)
    results = []
    for config in (stage2, cfg):
        model = build(config, toy.checkpoint).eval()
        loader = Runner.build_dataloader(config.test_dataloader)
        with torch.no_grad():
            results.append([sample for batch in loader for sample in model.test_step(batch)])
    assert len(results[0]) == 5 and any(len(sample.pred_instances) for sample in results[0])
    for online, banked in zip(*results, strict=True):
        assert online.metainfo['img_id'] == banked.metainfo['img_id']
        for key in ('bboxes', 'scores', 'labels'):
            torch.testing.assert_close(banked.pred_instances[key], online.pred_instances[key],
                                       rtol=1e-5, atol=1e-5)


def test_only_classifier_and_regressor_learn(over_bank, stage2):
    model = MODELS.build(over_bank().model)
    learning = {name for name, p in model.named_parameters() if p.requires_grad}
    assert learning == {f'roi_head.bbox_head.{layer}.{kind}' for layer in ('fc_cls', 'fc_reg')
                        for kind in ('weight', 'bias')}
    assert model.state_dict().keys() == MODELS.build(stage2.model).state_dict().keys()


def test_a_config_that_learns_features_is_refused(over_bank):
    cfg = over_bank(**{'model.trainable': ('fc_cls', 'shared_fcs')})
    with pytest.raises(ValueError, match='shared_fcs.*without --feature-bank'):
        MODELS.build(cfg.model)


@pytest.mark.parametrize('kind', ['cascade', 'branches', 'boxes'])
def test_heads_without_one_input_for_each_box_are_refused(kind, over_bank):
    cfg = over_bank()
    head = cfg.model.roi_head
    if kind == 'cascade':
        head.update(type='FHMCascadeRoIHead', num_stages=1, stage_loss_weights=[1])
        cfg.model.train_cfg.rcnn = [cfg.model.train_cfg.rcnn]
        named = 'FHMCascadeRoIHead'
    elif kind == 'branches':
        head.bbox_head.update(type='ConvFCBBoxHead', num_reg_fcs=1, init_cfg=None)
        named = 'ConvFCBBoxHead with num_reg_fcs'
    else:
        head.hallucinator.box_generator = dict(type='OwnBoxes')
        MODELS.register_module(
            name='OwnBoxes', module=type('OwnBoxes', (GTBoxGenerator,), {}), force=True)
        named = 'OwnBoxes in FeatureHallucinator'
    with pytest.raises(TypeError, match=named):
        MODELS.build(cfg.model)


def test_a_mask_head_is_kept_and_not_run(stage2, over_bank):
    mask_head = dict(type='FCNMaskHead', num_convs=1, in_channels=64, conv_out_channels=8,
                     num_classes=3, loss_mask=dict(type='CrossEntropyLoss', use_mask=True))
    cfg = over_bank(**{'model.roi_head.mask_head': mask_head,
                                    'model.train_cfg.rcnn.mask_size': 14})
    cfg.model.roi_head.mask_roi_extractor = stage2.model.roi_head.bbox_roi_extractor
    model = MODELS.build(cfg.model).train()
    assert not any(p.requires_grad for p in model.roi_head.mask_head.parameters())
    assert any('mask_head' in name for name in model.state_dict())
    data = pseudo_collate([DATASETS.build(cfg.train_dataloader.dataset)[0]])
    losses = model.loss(**{f'batch_{key}': value for key, value in data.items()})
    assert 'loss_cls' in losses and 'loss_mask' not in losses


def test_a_box_that_is_not_stored_is_named(over_bank):
    cfg = over_bank()
    model = MODELS.build(cfg.model)
    data = pseudo_collate([DATASETS.build(cfg.train_dataloader.dataset)[0]])
    x = model.extract_feat(data['inputs'])
    with pytest.raises(ValueError, match=r'lacks 1 of 1 boxes.*1\.5'):
        model.roi_head.bbox_roi_extractor(x, torch.tensor([[0, 1.5, 2, 3, 4]]))


def test_features_are_found_in_any_order_and_by_image(over_bank, bank):
    cfg = over_bank()
    model = MODELS.build(cfg.model)
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    data = pseudo_collate([dataset[1], dataset[0]])
    x = model.extract_feat(data['inputs'])
    rois = torch.cat([torch.cat([torch.full((len(boxes), 1), float(image)),
                                 torch.from_numpy(boxes)], 1)
                      for image, boxes in enumerate(data['inputs']['boxes'])])
    order = torch.randperm(len(rois))
    found = model.roi_head.bbox_roi_extractor(x, rois[order])
    rows = np.concatenate(data['inputs']['rows'])
    expected = torch.from_numpy(open_table(str(bank), 'train').feats(rows))[order]
    # Boxes that are clamped to the same place have the same features up to rounding.
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def as_array(*rois):
    return np.array(rois, np.float32)


@pytest.mark.parametrize('order', [[0, 1], [1, 0]])
def test_proposals_of_two_images_that_differ_in_a_few_bits_are_told_apart(order):
    """Clipped proposals of one anchor, whose bits differ as the numbers of their images do."""
    rois = as_array([0, 90.32526397705078, 0, 160, 160], [2, 90.32527923583984, 0, 160, 160],
                    [1, 9, 8, 7, 6])
    features = StoredRoIFeatures()
    features.begin(Table(), [[10], [12], [11]], [rois[:1, 1:], rois[2:, 1:], rois[1:2, 1:]])
    found = features((torch.arange(3)[:, None],), torch.from_numpy(rois[order]))
    assert found[:, 0].tolist() == [[10, 11][place] for place in order]


def test_a_zero_has_no_sign():
    features = StoredRoIFeatures()
    features.begin(Table(), [[10, 11]], [as_array([-0., 1, 2, 3], [0, 1, 2, 4])])
    found = features((torch.zeros(1, 1),), torch.tensor([[0, -0., 1, 2, 4], [0, 0, 1, 2, 3]]))
    assert found[:, 0].tolist() == [11, 10]


class Table:
    """A table whose only feature is the number of a row."""

    def feats(self, rows):
        return rows[:, None].astype(np.float16)
