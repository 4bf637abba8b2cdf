"""Test-time augmentation: the config that it makes, and a test with it."""
import copy
from pathlib import Path

import bacl  # noqa: F401
import pytest
import torch
from bacl.engine.hooks import ClassCheckHook, LoadReportHook
from bacl.engine.running.tta import prepare_tta
from mmdet.datasets.transforms import PackDetInputs
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torchvision.ops import batched_nms

BASES = Path(__file__).parents[3] / 'configs' / '_base_'
MAX_PER_IMG = 40


def config(data_root, work_dir, **settings):
    """A small detector of three classes that is tested on five images."""
    path = work_dir / 'tested.py'
    loader = dict(num_workers=0, persistent_workers=False, batch_size=2, dataset=dict(
        data_root=f'{data_root}/', ann_file='annotations/lvis_v1_train.json'))
    path.write_text('\n'.join([
        f"_base_ = ['{BASES}/models/faster-rcnn_effnet-lite0_fpn.py', "
        f"'{BASES}/datasets/emoji-lt.py', '{BASES}/default_runtime.py']",
        f'test_dataloader = {loader}',
        f"test_evaluator = dict(ann_file={str(data_root / loader['dataset']['ann_file'])!r}, "
        'exhaustive_ann_file=None)',
        'test_cfg = dict()',
        'train_dataloader = val_dataloader = val_evaluator = None']))
    cfg = Config.fromfile(path)
    cfg.merge_from_dict({
        'model.backbone.init_cfg': None, 'work_dir': str(work_dir),
        'model.roi_head.bbox_head.num_classes': 3,
        'model.roi_head.bbox_head.loss_cls.num_classes': 3,
        'model.test_cfg.rcnn.max_per_img': MAX_PER_IMG,
        'model.test_cfg.rcnn.nms.iou_threshold': 0.1, **settings})
    return cfg


class Predictions(Hook):
    """Keeps what the model predicts, by image."""

    def __init__(self):
        self.of = {}

    def after_test_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        """Keep it."""
        self.of.update((sample.img_id, sample.pred_instances.cpu()) for sample in outputs)


def evaluate(cfg):
    """Metrics and predictions of a test that starts as tools/test.py starts it."""
    runner = Runner.from_cfg(cfg)
    assert {LoadReportHook, ClassCheckHook} <= {type(hook) for hook in runner.hooks}
    hook = Predictions()
    runner.register_hook(hook)
    return runner.test(), hook.of


def test_views_are_merged_as_the_detector_merges_its_boxes(make_lvis, tmp_path):
    data_root = make_lvis('v1')
    torch.manual_seed(0)
    cfg = config(data_root, tmp_path)
    model = MODELS.build(cfg.model)
    model.init_weights()
    torch.nn.init.normal_(model.roi_head.bbox_head.fc_cls.weight, std=0.2)
    cfg.load_from = str(tmp_path / 'model.pth')
    torch.save(dict(state_dict=model.state_dict(), meta=dict(
        dataset_meta=dict(classes=('yoke', 'acorn', 'zebra')))), cfg.load_from)

    views = []
    for direction in (None, 'horizontal'):
        view = copy.deepcopy(cfg)
        flip = dict(type='RandomFlip', prob=float(direction is not None))
        view.test_dataloader.dataset.pipeline.insert(2, flip)
        views.append(evaluate(view)[1])
    prepare_tta(cfg)
    metrics, merged = evaluate(cfg)

    assert 'lvis/bbox_AP' in metrics
    nms = cfg.model.module.test_cfg.rcnn.nms
    widths = {image: width for image, width in zip(range(1, 6), (80, 60, 64, 70, 50), strict=True)}
    for image, (plain, flipped) in ((i, (view[i] for view in views)) for i in widths):
        boxes = flipped.bboxes.clone()
        boxes[:, [0, 2]] = widths[image] - flipped.bboxes[:, [2, 0]]
        boxes = torch.cat([plain.bboxes, boxes])
        scores = torch.cat([plain.scores, flipped.scores])
        labels = torch.cat([plain.labels, flipped.labels])
        kept = batched_nms(boxes, scores, labels, nms.iou_threshold)[:MAX_PER_IMG]
        assert len(merged[image]) == len(kept) == MAX_PER_IMG
        assert {int(index) < len(plain) for index in kept} == {True, False}
        torch.testing.assert_close(merged[image].scores, scores[kept])
        torch.testing.assert_close(merged[image].bboxes, boxes[kept], atol=1e-3, rtol=0)


def test_views_and_merging_of_the_config_are_taken(tmp_path):
    cfg = config(tmp_path, tmp_path)
    cfg.tta_model = dict(type='SomebodysTTAModel', weight=2)
    cfg.tta_pipeline = [dict(type='LoadImageFromFile'), dict(type='TestTimeAug', transforms=[])]
    inner = cfg.test_dataloader.dataset
    cfg.test_dataloader.dataset = dict(type='ConcatDataset', datasets=[inner, inner])
    cfg.model.roi_head.mask_head = dict(type='FCNMaskHead')  # theirs to merge
    detector = cfg.model
    prepare_tta(cfg)
    assert cfg.model == dict(type='SomebodysTTAModel', weight=2, module=detector)
    for part in cfg.test_dataloader.dataset.datasets:
        assert part.pipeline == cfg.tta_pipeline and part.pipeline is not cfg.tta_pipeline


@pytest.mark.parametrize('kind', ['PackDetInputs', 'mmdet.PackDetInputs',
                                  'mmdet.datasets.transforms.PackDetInputs', PackDetInputs])
def test_packing_of_the_config_is_kept(tmp_path, kind):
    cfg = config(tmp_path, tmp_path)
    pipeline = cfg.test_dataloader.dataset.pipeline
    pipeline[-1] = dict(type=kind, meta_keys=('img_id', 'mine'))
    prepare_tta(cfg)
    (*steps, views), before = cfg.test_dataloader.dataset.pipeline, pipeline[:-1]
    flips, (pack,) = views.transforms
    assert steps == before and [flip.prob for flip in flips] == [0, 1]
    assert pack.type is kind or pack.type == kind
    assert {'mine', 'img_id', 'flip', 'flip_direction', 'ori_shape'} <= set(pack.meta_keys)


@pytest.mark.parametrize('settings, cure', [
    ({'model.roi_head.mask_head': dict(type='FCNMaskHead')}, r'model\.roi_head\.mask_head=None'),
    ({'model.test_cfg.rcnn': dict(score_thr=0.1), 'model.test_cfg.rcnn.nms': None},
     r'model\.test_cfg\.rcnn.*tta_model'),
    ({'test_dataloader.dataset.pipeline': [dict(type='LoadImageFromFile')]},
     r"'LoadImageFromFile'.*tta_pipeline"),
    ({'test_dataloader': None}, 'test_dataloader')])
def test_what_does_not_follow_from_the_config_is_asked_for(tmp_path, settings, cure):
    cfg = config(tmp_path, tmp_path)
    for key, value in settings.items():
        holder = cfg
        *path, last = key.split('.')
        for part in path:
            holder = holder[part]
        holder[last] = value
    with pytest.raises(ValueError, match=f'--tta expects .*{cure}'):
        prepare_tta(cfg)


def test_new_style_of_config_can_still_be_dumped(tmp_path):
    path = tmp_path / 'new.py'
    path.write_text(
        'from mmcv.ops import nms\nfrom mmdet.datasets import LVISV1Dataset\n'
        'from mmdet.datasets.transforms import PackDetInputs\nfrom mmdet.models import FasterRCNN\n'
        'model = dict(type=FasterRCNN, test_cfg=dict(rcnn=dict(nms=dict(type=nms), max_per_img=9)))'
        '\ntest_dataloader = dict(dataset=dict(type=LVISV1Dataset,\n'
        '                            pipeline=[dict(type=PackDetInputs)]))\n')
    cfg = Config.fromfile(path)
    prepare_tta(cfg)
    dumped = Config.fromstring(cfg.pretty_text, '.py')
    assert dumped.model.module.type == 'mmdet.models.FasterRCNN'
    assert dumped.model.tta_cfg == dict(nms=dict(type='mmcv.ops.nms'), max_per_img=9)
    views, = dumped.test_dataloader.dataset.pipeline
    assert views.transforms[1][0].type == 'mmdet.datasets.transforms.PackDetInputs'
