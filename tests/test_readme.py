"""What the README shows works."""
import inspect
import json
import re
from pathlib import Path

import bacl  # noqa: F401
import numpy as np
import pytest
import torch
from bacl.engine import prediction
from mmdet.registry import HOOKS, MODELS
from mmdet.testing import demo_mm_inputs
from mmengine.config import Config
from mmengine.runner import Runner
from torch import nn

ROOT = Path(__file__).parents[1]
README = (ROOT / 'README.md').read_text()


def blocks(language):
    return re.findall(rf'^```{language}\n(.*?)^```$', README, re.DOTALL | re.MULTILINE)


@pytest.fixture
def config(tmp_path):
    """The config of the README, small enough for a CPU, without weights to download."""
    path = tmp_path / 'own.py'
    path.write_text(next(block for block in blocks('python') if '_base_' in block))
    cfg = Config.fromfile(path)
    cfg.model.backbone.init_cfg = None
    cfg.model.train_cfg.rpn_proposal.max_per_img = 50
    cfg.model.train_cfg.rcnn.sampler.num = 16
    cfg.work_dir = str(tmp_path)
    return cfg


def test_there_are_three_python_blocks():
    assert len(blocks('python')) == 3  # all are tested below


def test_config_trains_a_step_in_which_the_indicator_learns(config):
    model = MODELS.build(config.model)
    model.init_weights()
    torch.testing.assert_close(model.roi_head.bbox_head.fc_cls.bias[:1].sigmoid(),
                               torch.tensor([0.001]))
    batch = model.data_preprocessor(
        demo_mm_inputs(1, [[3, 64, 64]], num_items=[3], num_classes=80), training=True)
    model.train()
    total, _ = model.parse_losses(model(**batch, mode='loss'))
    total.backward()
    assert total.isfinite()
    head = model.roi_head.bbox_head
    assert head.fc_cls.weight.grad.abs().sum() > 0
    assert head.loss_cls.indicator.num_samples.sum() > 0


def test_named_variants_of_the_config_build(config):
    for name in ('FHMRoIHead', 'FeatureHallucinator', 'DecoupledTwoStageDetector'):
        assert f"type='{name}'" in README
    config.merge_from_dict(dict(model=dict(
        type='DecoupledTwoStageDetector',
        roi_head=dict(type='FHMRoIHead', hallucinator=dict(type='FeatureHallucinator')))))
    assert isinstance(MODELS.build(config.model), nn.Module)


def test_hooks_of_the_config_refuse_a_second_stage_without_weights(config):
    config.model.type = 'DecoupledTwoStageDetector'
    model = MODELS.build(config.model)
    hooks = [HOOKS.build(hook) for hook in config.custom_hooks]
    assert len(hooks) == 3
    runner = Runner(model, config.work_dir, experiment_name='readme')
    with pytest.raises(RuntimeError, match='--stage1-checkpoint'):
        hooks[0].before_train(runner)


def test_lvis_evaluation_prints_average_precision(tmp_path, monkeypatch, capsys):
    box = [10, 10, 40, 40]
    annotations = dict(
        images=[dict(id=1, height=64, width=64, neg_category_ids=[],
                     not_exhaustive_category_ids=[])],
        categories=[dict(id=1, name='cat', frequency='f')],
        annotations=[dict(id=1, image_id=1, category_id=1, bbox=box, area=1600)])
    detections = [dict(image_id=1, category_id=1, bbox=box, score=0.5)]
    (tmp_path / 'lvis_v1_val.json').write_text(json.dumps(annotations))
    (tmp_path / 'detections.json').write_text(json.dumps(detections))
    monkeypatch.chdir(tmp_path)
    exec(next(block for block in blocks('python') if 'evaluate_lvis' in block), {})
    average_precision, of_rare = capsys.readouterr().out.split()[-2:]
    assert float(average_precision) == pytest.approx(1) and of_rare == 'nan'


def test_predictions_are_gone_through(monkeypatch, capsys):
    signature = inspect.signature(prediction.predict)
    found = prediction.Prediction('photos/a.jpg', 'a.jpg', (9, 9), np.ones((1, 4)), np.ones(1),
                                  np.zeros(1, int), ['cat'], ['r'])

    def fake(*args, **kwargs):
        arguments = signature.bind(*args, **kwargs).arguments
        assert (arguments['images'], arguments['score_thr']) == ('photos', 0.1)
        return iter([found])

    monkeypatch.setattr(prediction, 'predict', fake)
    exec(next(block for block in blocks('python') if 'predict' in block), {})
    assert capsys.readouterr().out == "a.jpg ['cat'] [1.] [[1. 1. 1. 1.]]\n"


def test_files_that_the_commands_and_links_name_exist():
    named = set()
    for block in blocks('bash'):
        named.update(re.findall(r'\b(?:tools|configs|requirements)/[\w./-]+\w', block))
    assert len(named) > 5
    named.remove('configs/birds')  # which tools/plan.py makes
    # `](` begins a link's target; text in backticks names files, too.
    named.update(target for target in re.findall(r'\]\(([^)#]+)\)', README) if '://' not in target)
    named.update(re.findall(r'`((?:tools|configs|requirements)/[\w./-]+\.\w+)`', README))
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []
