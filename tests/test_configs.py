import math
from pathlib import Path

import bacl  # noqa: F401
import pytest
import torch
from mmcv.transforms import Compose
from mmdet.registry import DATASETS, HOOKS, METRICS, MODELS
from mmdet.testing import demo_mm_inputs
from mmengine.config import Config

CONFIGS = Path(__file__).parents[1] / 'configs' / 'bacl'
NUM_CLASSES = 20

every_config = pytest.mark.parametrize('name', sorted(path.stem for path in CONFIGS.glob('*.py')))
both_versions = pytest.mark.parametrize('version', ['v0.5', 'v1'])


def load(name: str) -> Config:
    return Config.fromfile(CONFIGS / f'{name}.py')


def load_r50(method: str, version: str) -> Config:
    return load(f'faster-rcnn_r50_fpn_{method}_lvis-{version}')


def innermost(dataset):
    return innermost(dataset.dataset) if 'dataset' in dataset else dataset


# Every config.


@every_config
def test_dumped_config_reads_back(name):
    cfg = load(name)
    assert Config.fromstring(cfg.pretty_text, '.py').to_dict() == cfg.to_dict()


@every_config
def test_components_are_registered_and_pipelines_and_hooks_build(name):
    cfg = load(name)
    for split in ('train', 'val', 'test'):
        outermost = cfg[f'{split}_dataloader'].dataset
        for dataset in (outermost, innermost(outermost)):
            assert DATASETS.get(dataset.type) is not None
            Compose(dataset.pipeline)
    for evaluator in (cfg.val_evaluator, cfg.test_evaluator):
        assert METRICS.get(evaluator.type) is not None
    for hook in cfg.default_hooks.values():
        assert HOOKS.get(hook.type) is not None
    for hook in cfg.get('custom_hooks', []):
        HOOKS.build(hook)


@every_config
def test_evaluator_and_dataset_read_one_file_and_share_the_cap(name):
    cfg = load(name)
    for split in ('val', 'test'):
        dataset, evaluator = cfg[f'{split}_dataloader'].dataset, cfg[f'{split}_evaluator']
        assert evaluator.ann_file == dataset.data_root + dataset.ann_file
        assert evaluator.max_dets == cfg.model.test_cfg.rcnn.max_per_img


@every_config
def test_head_and_loss_have_the_classes_of_the_dataset(name):
    cfg = load(name)
    head = cfg.model.roi_head.bbox_head
    assert head.num_classes == cfg.num_classes
    assert head.loss_cls.get('num_classes', cfg.num_classes) == cfg.num_classes


@every_config
def test_stage_2_names_a_config_of_stage_1_for_the_same_data(name):
    cfg = load(name)
    if cfg.model.type != 'DecoupledTwoStageDetector':
        assert 'stage1_config' not in cfg
        return
    stage1 = load(cfg.stage1_config)
    assert 'stage1_config' not in stage1
    data, data_of_stage1 = (innermost(c.train_dataloader.dataset) for c in (cfg, stage1))
    assert data.data_root + data.ann_file == data_of_stage1.data_root + data_of_stage1.ann_file
    assert stage1.model.roi_head.bbox_head.loss_cls.type == 'ObjectnessBCELoss'


def small(cfg: Config) -> Config:
    """The same with few classes and without pretrained weights, which are files."""
    cfg.model.backbone.init_cfg = None
    head = cfg.model.roi_head.bbox_head
    head.num_classes = NUM_CLASSES
    if 'num_classes' in head.loss_cls:
        head.loss_cls.num_classes = NUM_CLASSES
    return cfg


@every_config
def test_model_learns_what_it_should_and_predicts(name):
    torch.manual_seed(0)
    cfg = small(load(name))
    model = MODELS.build(cfg.model)
    model.init_weights()
    model.train()
    batch = demo_mm_inputs(2, [(3, 96, 128), (3, 128, 96)], num_items=[3, 1],
                           num_classes=NUM_CLASSES)

    loss, _ = model.parse_losses(model(**model.data_preprocessor(batch, True), mode='loss'))
    loss.backward()
    assert torch.isfinite(loss)
    learning = {key for key, value in model.named_parameters() if value.grad is not None}
    assert learning == {key for key, value in model.named_parameters() if value.requires_grad}
    extractor = {key for key in learning if key.startswith(('backbone', 'neck')) or 'shared' in key}
    assert bool(extractor) == (cfg.model.type != 'DecoupledTwoStageDetector')

    model.eval()
    with torch.no_grad():
        results = model(**model.data_preprocessor(batch, False), mode='predict')
    for result in results:
        instances = result.pred_instances
        assert len(instances) <= cfg.model.test_cfg.rcnn.max_per_img
        assert torch.isfinite(instances.bboxes).all() and (instances.labels < NUM_CLASSES).all()


# The numbers of the paper (Section IV-B) and, where it is silent, of the official code.


@both_versions
@pytest.mark.parametrize('method, epochs, steps, weight_decay, train_proposals', [
    ('sce-2x', 24, [16, 22], 1e-4, 1000),
    ('bacl-representation', 12, [8, 11], 5e-5, 2000),
    ('bacl-classifier', 12, [8, 11], 1e-4, 2000)])
def test_training_is_the_papers(version, method, epochs, steps, weight_decay, train_proposals):
    cfg = load_r50(method, version)
    assert cfg.train_cfg.max_epochs == epochs and cfg.train_cfg.type == 'EpochBasedTrainLoop'
    warmup, decay = cfg.param_scheduler
    assert (warmup.type, warmup.start_factor, warmup.end, warmup.by_epoch) == (
        'LinearLR', 0.001, 500, False)
    assert (decay.milestones, decay.gamma, decay.end) == (steps, 0.1, epochs)
    assert cfg.optim_wrapper.to_dict() == dict(
        type='OptimWrapper',
        optimizer=dict(type='SGD', lr=0.02, momentum=0.9, weight_decay=weight_decay))
    assert cfg.auto_scale_lr.to_dict() == dict(enable=False, base_batch_size=16)
    assert cfg.train_dataloader.batch_size == 2  # on 8 GPUs
    assert cfg.model.train_cfg.rpn_proposal.max_per_img == train_proposals
    assert cfg.model.train_cfg.rcnn.assigner.match_low_quality
    assert cfg.model.roi_head.bbox_head.reg_class_agnostic is False


@both_versions
@pytest.mark.parametrize('method', ['sce-2x', 'bacl-representation', 'bacl-classifier'])
def test_testing_is_the_papers(version, method):
    cfg = load_r50(method, version)
    test = cfg.model.test_cfg
    assert (test.rcnn.score_thr, test.rcnn.max_per_img, test.rcnn.nms.iou_threshold) == (
        1e-4, 300, 0.5)
    assert test.rpn.max_per_img == 1000
    resize = cfg.test_dataloader.dataset.pipeline[1]
    assert (resize.type, tuple(resize.scale), resize.keep_ratio) == ('Resize', (1333, 800), True)
    assert cfg.test_evaluator.metric == 'bbox'


@both_versions
@pytest.mark.parametrize('method', ['sce-2x', 'bacl-representation', 'bacl-classifier'])
def test_images_are_sampled_at_random_without_repeats(version, method):
    loader = load_r50(method, version).train_dataloader
    lvis = f"LongTailLVIS{version.upper().replace('.', '')}Dataset"
    assert loader.sampler == dict(type='DefaultSampler', shuffle=True)
    assert loader.batch_sampler == dict(type='AspectRatioBatchSampler')
    dataset, types = loader.dataset, [loader.dataset.type]
    while 'dataset' in dataset:
        dataset = dataset.dataset
        types.append(dataset.type)
    assert types == {'bacl-representation': ['MultiImageMixDataset', lvis]}.get(method, [lvis])
    assert dataset.filter_cfg == dict(filter_empty_gt=True, min_size=32)


@both_versions
@pytest.mark.parametrize('method', ['sce-2x', 'bacl-classifier'])
def test_multi_scale_is_the_papers(version, method):
    pipeline = load_r50(method, version).train_dataloader.dataset.pipeline
    resize, = [t for t in pipeline if t.type == 'RandomChoiceResize']
    assert [tuple(scale) for scale in resize.scales] == [
        (1333, side) for side in range(640, 801, 32)]
    assert dict(type='RandomFlip', prob=0.5) in pipeline


@both_versions
def test_copy_paste_is_the_papers(version):
    dataset = load_r50('bacl-representation', version).train_dataloader.dataset
    steps = {step.type: step for step in dataset.dataset.pipeline}
    assert list(steps) == ['LoadImageFromFile', 'LoadAnnotations', 'RandomResize', 'RandomCrop',
                           'FilterAnnotations', 'DropEmptyGT', 'RandomFlip', 'Pad']
    assert tuple(steps['RandomResize'].scale) == (1280, 1280)
    assert tuple(steps['RandomResize'].ratio_range) == (0.8, 1.25)
    assert tuple(steps['RandomCrop'].crop_size) == tuple(steps['Pad'].size) == (1280, 1280)
    assert [step.type for step in dataset.pipeline] == [
        'CopyPaste', 'FilterAnnotations', 'PackDetInputs']
    assert dataset.pipeline[0].max_num_pasted == 100


@both_versions
def test_classifier_stage_is_the_papers(version):
    roi_head = load_r50('bacl-classifier', version).model.roi_head
    loss, hallucinator = roi_head.bbox_head.loss_cls, roi_head.hallucinator
    assert (loss.type, loss.alpha, loss.prob_thr) == ('FCBL', 0.85, 0.7)
    assert loss.indicator.type == 'ConfusionMatrix'
    assert hallucinator.num_sampled_classes == 8 and hallucinator.num_features_per_class == 12
    assert hallucinator.momentum == pytest.approx(1 - 0.9)


def test_lvis_has_its_number_of_classes():
    assert [load_r50('sce-2x', version).num_classes for version in ('v0.5', 'v1')] == [1230, 1203]


@every_config
def test_box_head_starts_as_mmdets_except_for_the_prior_of_sigmoids(name):
    cfg = small(load(name)).model.roi_head.bbox_head
    ours, mmdets = MODELS.build(cfg), MODELS.build({**cfg, 'init_cfg': None})
    for head in (ours, mmdets):
        torch.manual_seed(0)
        head.init_weights()
    # The logit of the probability 0.001.
    prior = 0.0 if cfg.loss_cls.type == 'CrossEntropyLoss' else -math.log(999)
    torch.nn.init.constant_(mmdets.fc_cls.bias, prior)
    theirs = mmdets.state_dict()
    for key, value in ours.state_dict().items():
        torch.testing.assert_close(value, theirs[key])


@pytest.mark.parametrize('preset', ['mini', 'smoke'])
def test_baseline_and_bacl_share_every_setting_but_the_method(preset):
    """What differs on Emoji-LT: the loss, the RoI head around it, and the hooks that watch them."""
    prefix = f'faster-rcnn_effnet-lite0_emoji-lt-{preset}_stage2'
    baseline, ours = (Config.fromfile(CONFIGS / f'{prefix}-{name}.py').to_dict()
                      for name in ('bce', 'bacl'))
    for cfg in (baseline, ours):
        cfg.pop('custom_hooks', None)
        roi_head = cfg['model']['roi_head']
        roi_head.pop('hallucinator', None)
        assert roi_head.pop('type') in ('StandardRoIHead', 'FHMRoIHead')
        assert roi_head['bbox_head'].pop('loss_cls')['type'] in ('ObjectnessBCELoss', 'FCBL')
    assert baseline == ours
