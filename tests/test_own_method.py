"""A method that no file of the package knows, made of the examples of bacl/README.md."""
import importlib.util
import json
import logging
import re
import sys
from copy import deepcopy
from pathlib import Path

import bacl  # noqa: F401
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner

ROOT = Path(__file__).parents[1]
MODULE = 'own_method'
LOSS = dict(type='CountingBCELoss', power=0.5)
PARTS = {'CountingBCELoss', 'MeanFreePredictor', 'NoisyCopies', 'CountCalibrator',
         'RareImageSampler'}


@pytest.fixture(scope='module')
def own_method(tmp_path_factory):
    """The examples as a module of somebody's project."""
    text = (ROOT / 'bacl/README.md').read_text().partition('## Adding a method')[2]
    blocks = re.findall(r'^```python\n(.*?)^```$', text, re.DOTALL | re.MULTILINE)
    path = tmp_path_factory.mktemp('own') / f'{MODULE}.py'
    path.write_text('\n\n'.join(blocks))
    spec = importlib.util.spec_from_file_location(MODULE, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[MODULE] = module
    spec.loader.exec_module(module)
    yield path
    del sys.modules[MODULE]


def test_every_kind_of_part_has_an_example(own_method):
    assert PARTS <= set(vars(sys.modules[MODULE]))
    for path in (ROOT / 'bacl').rglob('*.py'):
        assert not any(part in path.read_text() for part in PARTS), path


def own_config(detector, stage, data_root, work_dir):
    """A small detector with all parts of the method."""
    cfg = Config.fromfile(ROOT / 'configs/_base_/models/faster-rcnn_effnet-lite0_fpn.py')
    model, head = cfg.model, cfg.model.roi_head.bbox_head
    model.backbone.init_cfg = None
    model.train_cfg.rpn_proposal.max_per_img = 30
    head.update(num_classes=3, fc_out_channels=8, loss_cls=None,
                cls_predictor_cfg=dict(type='MeanFreePredictor'), init_cfg=None)
    head.loss_cls = LOSS
    model.test_cfg.rcnn.calibrator = dict(type='CountCalibrator', power=0.3)
    model.roi_head.update(type='LongTailRoIHead', augmenter=dict(type='NoisyCopies', std=0.2))
    if detector == 'cascade':
        head.reg_class_agnostic = True
        model.type = 'CascadeRCNN'
        model.roi_head.update(type='LongTailCascadeRoIHead', num_stages=2,
                              stage_loss_weights=[1, 0.5], bbox_head=[head, deepcopy(head)])
        model.train_cfg.rcnn = [model.train_cfg.rcnn] * 2
    if detector == 'mask':
        model.type = 'MaskRCNN'
        model.roi_head.update(
            mask_roi_extractor=model.roi_head.bbox_roi_extractor,
            mask_head=dict(type='FCNMaskHead', num_convs=1, in_channels=64, conv_out_channels=8,
                           num_classes=3, loss_mask=dict(type='CrossEntropyLoss', use_mask=True)))
        model.train_cfg.rcnn.mask_size = 14
        model.test_cfg.rcnn.mask_thr_binary = 0.5
    if stage == 2:
        model.update(type='DecoupledTwoStageDetector', fresh=('fc_cls',))
    model.test_cfg.rcnn.max_per_img = 20
    pipeline = [dict(type='LoadImageFromFile'),
                dict(type='LoadAnnotations', with_bbox=True, with_mask=detector == 'mask'),
                dict(type='Resize', scale=(64, 64), keep_ratio=True)]
    meta = ('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')

    def loader(split, sampler, **dataset):
        return dict(batch_size=2, num_workers=0, sampler=sampler, dataset=dict(
            type='LongTailLVISV1Dataset', data_root=str(data_root),
            ann_file=f'annotations/lvis_v1_{split}.json', data_prefix=dict(img=''),
            pipeline=[*pipeline, dict(type='PackDetInputs', meta_keys=meta)], **dataset))

    test = loader('train', dict(type='DefaultSampler', shuffle=False), test_mode=True)
    evaluator = dict(type='FastLVISMetric', metric='bbox',
                     ann_file=f'{data_root}/annotations/lvis_v1_train.json')
    runtime = Config.fromfile(ROOT / 'configs/_base_/default_runtime.py').to_dict()
    runtime.update(
        model=model.to_dict(), work_dir=str(work_dir), experiment_name=f'{detector}{stage}',
        custom_hooks=[dict(type='MethodHook', interval=1)], randomness=dict(seed=0),
        vis_backends=[dict(type='LocalVisBackend')], custom_imports=None,
        train_cfg=dict(type='EpochBasedTrainLoop', max_epochs=1, val_interval=10),
        train_dataloader=loader('train', dict(type='RareImageSampler', power=1.0),
                                filter_cfg=dict(filter_empty_gt=True)),
        val_dataloader=test, test_dataloader=test, val_evaluator=evaluator,
        test_evaluator=evaluator, val_cfg=dict(), test_cfg=dict(),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.01)))
    runtime['visualizer'] = dict(type='DetLocalVisualizer', name=f'{work_dir}',
                                 vis_backends=[dict(type='LocalVisBackend')])
    runtime['log_level'] = logging.INFO
    return Config(runtime)


def run(cfg, mode, **settings):
    cfg = deepcopy(cfg)
    cfg.merge_from_dict(settings)
    runner = Runner.from_cfg(cfg)
    result = getattr(runner, mode)()
    return runner.model, result


def state(path):
    return torch.load(path, weights_only=True)['state_dict']


def part(weights, name, head=''):
    """A tensor of the first box head."""
    (value,) = [value for key, value in weights.items()
                if key.endswith(name) and key.startswith(f'roi_head.bbox_head{head}')]
    return value


@pytest.mark.parametrize('detector', ['faster', 'cascade', 'mask'])
def test_it_trains_both_stages_resumes_and_tests(detector, own_method, make_lvis, tmp_path,
                                                 monkeypatch):
    data_root = make_lvis('v1')
    head = '.0' if detector == 'cascade' else ''
    stage1, stage2 = (own_config(detector, stage, data_root, tmp_path / f'stage{stage}')
                      for stage in (1, 2))
    run(stage1, 'train')
    trained = state(tmp_path / 'stage1/epoch_1.pth')
    assert part(trained, 'loss_cls.count', head)[:3].sum() > 3  # it has observed
    assert part(trained, 'fc_cls.mean', head).any()
    # Training images of the classes, as the file says, to the power of 0.3; background last.
    expected = torch.tensor([2., 4., 1., 1.]) ** 0.3
    torch.testing.assert_close(trained['roi_head.calibrator.divisor'], expected)

    start = {}
    monkeypatch.setattr('bacl.engine.hooks.MethodHook.before_train_epoch', lambda self, runner: (
        start.update({k: v.clone() for k, v in self.model.state_dict().items()})
        if not start else None))
    run(stage2, 'train', load_from=str(tmp_path / 'stage1/epoch_1.pth'))
    shared = f'roi_head.bbox_head{head}.shared_fcs.0.weight'
    assert torch.equal(start[shared], trained[shared])
    assert not torch.equal(part(start, 'fc_cls.weight', head),
                           part(trained, 'fc_cls.weight', head))  # fresh
    once = state(tmp_path / 'stage2/epoch_1.pth')
    assert torch.equal(once[shared], trained[shared])
    assert not torch.equal(part(once, 'fc_cls.weight', head), part(start, 'fc_cls.weight', head))

    start.clear()
    run(stage2, 'train', resume=True, train_cfg=dict(max_epochs=2))
    assert all(torch.equal(start[name], value) for name, value in once.items())
    twice = state(tmp_path / 'stage2/epoch_2.pth')
    assert part(twice, 'loss_cls.count', head).sum() > part(once, 'loss_cls.count', head).sum()

    model, metrics = run(stage2, 'test', load_from=str(tmp_path / 'stage2/epoch_2.pth'))
    assert 0 <= metrics['lvis/bbox_AP'] <= 1
    assert all(torch.equal(value, twice[name]) for name, value in model.state_dict().items())
    scalars = min((tmp_path / 'stage2').glob('*/vis_data/scalars.json'))
    logged = json.loads(scalars.read_text().splitlines()[0])
    numbers = [key for key in logged if 'counting_bce' in key]
    assert numbers and all(key.rpartition('_')[2] in 'rcf' for key in numbers)
    pictures = [path.name for path in (tmp_path / 'stage2').glob('*/vis_data/vis_image/*')]
    assert any('classifier_weight_norms' in name for name in pictures)
    if detector == 'faster':  # the page is one for all detectors
        check_report(stage2, tmp_path)


def check_report(cfg, folder):
    """Report on a finished run whose parts the package does not know."""
    from bacl.report.page import write_run_report
    from bacl.report.run_files import find_runs, read_runs, read_training_images

    run(cfg, 'test', load_from=str(folder / 'stage2/epoch_2.pth'),
        test_evaluator=[cfg.test_evaluator, dict(
            type='DumpDetResults', out_file_path=str(folder / 'stage2/test/predictions.pkl'))])
    cfg.dump(folder / 'stage2/config.py')
    files = find_runs([str(folder / 'stage2')])
    validation, runs = read_runs(files)
    assert runs[0].checkpoints[2].norms[0].shape == (3, )
    page = write_run_report(folder / 'report', validation, runs, read_training_images(files[0]),
                            num_draws=2)
    assert 'Weight norms of the classifier' in page.read_text()
