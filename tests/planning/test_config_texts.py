"""The texts of configs, and the configs that they are."""
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from bacl.engine.checking.config_check import check_config
from bacl.planning import decisions
from bacl.planning import plan as plan_module
from bacl.planning.config_texts import Expression, _pipelines, config_text, render
from bacl.planning.decisions import Decision
from bacl.planning.detectors import Anchors
from bacl.planning.readme import readme_text
from mmdet.registry import DATASETS, MODELS
from mmengine.config import Config

NAMES = [f'{i:03d}.jpg' for i in range(13)]


def test_text_is_one_line_if_it_fits_and_python_in_any_case():
    value = dict(type='Resize', scale=(160, 160), flag=True, nothing=None, rate=2e-5,
                 names=['a', 'b'],
                 inner=dict(scales=[(1333, 640 + 32 * i) for i in range(6)], one=(1,), none=[]))
    text = render(value)
    assert eval(text) == value
    assert max(map(len, text.splitlines())) <= 100 and len(text.splitlines()) > 3
    assert render(dict(a=1)) == 'dict(a=1)'
    assert render([Expression('*_base_.x[:2]'), 'x']) == "[*_base_.x[:2], 'x']"


def test_config_has_its_comment_bases_and_settings_in_order():
    assert config_text('Of mine.', './a.py', dict(data_root='x/', num_classes=3, model=dict())) == (
        "# Of mine.\n_base_ = './a.py'\n\ndata_root = 'x/'\nnum_classes = 3\n\nmodel = dict()\n")


def test_readme_tells_decisions_notes_and_commands():
    text = readme_text('mine', '3 classes.', [Decision('size', '1 | 2', 'so it is')], ['x: y.'],
                       dict(stage1='a_stage1'), 'python tools/plan.py', 'configs/mine')
    assert '| size | 1 \\| 2 | so it is |' in text and '- x: y.' in text
    assert 'bash tools/run_plan.sh configs/mine' in text and '[stage1](a_stage1.py)' in text


# A plan changes what its data ask for, in all three configs alike.


@pytest.fixture
def odd(plan, coco, write_images, monkeypatch):
    """A function that plans for few small images with crowds of long objects, on one small GPU."""
    def make(**options):
        collect = plan_module.collect_facts
        monkeypatch.setattr(plan_module, 'collect_facts', lambda pair, table: replace(
            collect(pair, table), image_sizes=np.tile([[320., 200.]], (30, 1)),
            boxes=np.tile([[200., 30.]], (9, 1)), box_images=np.tile([[320., 200.]], (9, 1)),
            objects_per_image=np.full(30, 300), most_of_a_class=180, most_in_an_image=500))
        return plan(coco(NAMES), write_images(NAMES), **options)

    return make


def test_large_detector_with_other_sizes_anchors_batch_and_caps(odd, load, labels, truth):
    made = odd(gpus=1, memory=8)
    runs = {run: load(made, run) for run in made.configs}
    for run, cfg in runs.items():
        check_config(cfg)
        tested = cfg.test_dataloader.dataset.pipeline
        assert cfg.test_pipeline[1].scale == (672, 416) == tested[1].scale
        assert cfg.model.rpn_head.anchor_generator.ratios == [0.25, 0.5, 1.0, 2.0, 4.0]
        assert cfg.model.rpn_head.anchor_generator.scales == [8]
        assert cfg.model.test_cfg.rpn.max_per_img == 3000
        assert cfg.model.train_cfg.rpn_proposal.max_per_img == (3000 if run == 'baseline' else 6000)
        assert cfg.model.test_cfg.rcnn.max_per_img == 500 and cfg.test_evaluator.max_dets == 200
        assert cfg.model.roi_head.bbox_head.num_classes == 3
        assert cfg.train_dataloader.batch_size == 3 and cfg.auto_scale_lr.base_batch_size == 3
        assert cfg.optim_wrapper.optimizer.lr == 0.00375
        assert cfg.train_cfg.max_epochs == cfg.train_cfg.val_interval == (
            200 if run == 'baseline' else 100)
        warmup, steps = cfg.param_scheduler
        assert warmup.end == 100 and steps.end == cfg.train_cfg.max_epochs
        assert steps.milestones == ([133, 183] if run == 'baseline' else [67, 92])
        assert cfg.default_hooks.checkpoint.interval == (17 if run == 'baseline' else 9)
    stage1 = runs['stage1']
    assert stage1.optim_wrapper.optimizer.weight_decay == 5e-5
    pipeline = stage1.train_dataloader.dataset.dataset.pipeline
    assert pipeline[2].scale == pipeline[3].crop_size == (640, 640)
    assert pipeline[7].transforms[0].size == (640, 640)
    assert runs['stage2'].train_pipeline[2].scales[0] == (672, 333)
    assert runs['stage2'].model.roi_head.hallucinator.num_sampled_classes == 2
    assert labels(made) == truth(NAMES)


def test_levels_that_are_added_are_those_of_neck_and_anchors(plan, coco, write_images, load,
                                                             monkeypatch):
    anchors = Anchors((4,), (0.5, 1.0, 2.0), (4, 8, 16, 32, 64, 128))
    monkeypatch.setattr(decisions, 'choose_anchors', lambda *_: (anchors, 'so it is'))
    made = plan(coco(NAMES), write_images(NAMES), gpus=1)
    for run in made.configs:
        cfg = load(made, run)
        assert cfg.model.neck.num_outs == 6
        assert cfg.model.rpn_head.anchor_generator.strides == [4, 8, 16, 32, 64, 128]


def test_small_detector_resizes_in_training_as_in_tests(plan, coco, write_images, load):
    made = plan(coco(NAMES), write_images(NAMES), epochs=2)
    cfg = load(made)  # images of 64 x 48 pixels
    resize = dict(type='Resize', scale=(160, 160), keep_ratio=True)
    assert cfg.train_dataloader.dataset.pipeline[2] == resize
    assert cfg.test_dataloader.dataset.pipeline[1] == resize
    assert len(cfg.train_dataloader.dataset.pipeline) == 6
    assert _pipelines(replace(made.settings, resizes_training=False),
                      SimpleNamespace(train_scales=())) == {}


@pytest.mark.parametrize('gpus', [0, 1])
def test_all_runs_build_and_the_data_load(gpus, plan, coco, write_images, load):
    made = plan(coco(NAMES), write_images(NAMES), gpus=gpus)
    for run in made.configs:
        cfg = load(made, run)
        check_config(cfg)
        assert isinstance(cfg, Config)
        with torch.device('meta'):
            model = MODELS.build(cfg.model)
        assert model.roi_head.bbox_head.num_classes == 3
        config = cfg.train_dataloader.dataset
        config.get('dataset', config).serialize_data = False
        assert len(DATASETS.build(config)[0]['data_samples'].gt_instances)
    assert load(made, 'stage2').stage1_config == f'./{made.configs["stage1"]}.py'


def test_a_plan_replaces_an_older_one_and_nothing_else(plan, coco, write_images, tmp_path):
    images = write_images(NAMES)
    first = plan(coco(NAMES), images, gpus=1)
    (first.folder / 'mine.py').touch()
    second = plan(coco(NAMES), images)
    assert {path.name for path in second.folder.iterdir()} == {
        'README.md', 'plan.json', 'dataset.py', 'mine.py',
        *(f'{config}.py' for config in second.configs.values())}
    assert first.configs != second.configs
    (tmp_path / 'configs/bacl').mkdir()
    (tmp_path / 'configs/bacl/mine.py').touch()
    with pytest.raises(ValueError, match='configs/bacl exists and is no plan'):
        plan(coco(NAMES), images, name='bacl')
