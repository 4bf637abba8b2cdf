"""A detector that learns from images without boxes: trained, resumed, tested."""
from copy import deepcopy
from pathlib import Path

import bacl  # noqa: F401
import cv2
import numpy as np
import pytest
import torch
from cascade import as_cascade, with_centernet
from mmengine.config import Config
from mmengine.config import config as mmengine_config
from mmengine.runner import Runner
from small_dino import small_dino

CONFIGS = Path(__file__).parents[1] / 'configs'
ANN_FILE = 'annotations/lvis_v1_train.json'


def richsem_config():
    cfg = small_two_stage('richsem')
    # It remembers boxes.
    cfg.model.teacher.update(type='RandomTeacher', embed_dims=6, scale=5.0, cache_file=None)
    cfg.model.roi_head.semantic_branch.embed_dims = 6
    return cfg, cfg.train_dataloader.dataset.datasets[1]


def centernet_config():
    cfg, single = richsem_config()
    with_centernet(as_cascade(cfg.model))
    return cfg, single


def clis_config():
    """Its batches hold both kinds of images, in pairs."""
    cfg = small_two_stage('clis')
    cfg.train_dataloader.batch_size = 4
    return cfg, cfg.train_dataloader.dataset.datasets[1]


def small_two_stage(family):
    cfg = Config.fromfile(
        CONFIGS / family / f'faster-rcnn_effnet-lite0_emoji-lt-mini_{family}.py')
    cfg.model.roi_head.bbox_head.update(num_classes=3, fc_out_channels=8)
    cfg.model.train_cfg.rpn_proposal.max_per_img = cfg.model.test_cfg.rpn.max_per_img = 20
    cfg.train_dataloader.batch_size = 2
    return cfg


def dino_config():
    """Its mosaics of image-level data are kept."""
    cfg = Config.fromfile(CONFIGS / 'richsem/dino-4scale_r50_richsem-12e_lvis-v1.py')
    small_dino(cfg.model, num_classes=3)
    detection, mosaics = cfg.train_dataloader.dataset.datasets
    for dataset in (detection, mosaics.dataset):
        dataset.pipeline = [step for step in dataset.pipeline if step.type != 'RandomChoice']
    mosaics.pipeline[0].img_scale = (32, 32)
    cfg.test_dataloader.dataset.pipeline[1].scale = (64, 64)
    cfg.train_dataloader.batch_size = 2
    return cfg, mosaics.dataset


@pytest.fixture(params=[richsem_config, centernet_config, clis_config, dino_config])
def config(request, make_lvis, tmp_path, monkeypatch):
    """A config on a tiny dataset, with a teacher of no weights."""
    # Layout costs more time than training and changes no value.
    monkeypatch.setattr(mmengine_config, 'FormatCode', lambda text, **kwargs: (text, False))
    root = make_lvis('v1')
    rng = np.random.default_rng(0)
    for name in ('acorn/a', 'zebra/b', 'yoke/c'):
        file = root / 'single' / f'{name}.jpg'
        file.parent.mkdir(parents=True)
        cv2.imwrite(str(file), rng.integers(0, 256, (32, 32, 3), dtype=np.uint8))
    cfg, single = request.param()
    cfg.train_dataloader.dataset.datasets[0].update(data_root=str(root), ann_file=ANN_FILE)
    single.update(data_root=str(root), ann_file='single', class_file=ANN_FILE)
    del single['data_prefix']
    cfg.train_dataloader.sampler.update(samples_per_round=(2, 2), samplers=None)
    cfg.train_dataloader.update(num_workers=0, persistent_workers=False)
    for loader in (cfg.val_dataloader, cfg.test_dataloader):
        loader.update(batch_size=2, num_workers=0, persistent_workers=False)
        loader.dataset.update(data_root=str(root), ann_file=ANN_FILE)
    for evaluator in (cfg.val_evaluator, cfg.test_evaluator):
        evaluator.ann_file = str(root / ANN_FILE)
        evaluator.pop('exhaustive_ann_file', None)
    cfg.train_cfg.update(max_epochs=2, val_interval=10)
    cfg.param_scheduler = []
    cfg.visualizer.vis_backends = [dict(type='LocalVisBackend')]
    cfg.randomness.seed = 0
    del cfg.default_hooks['class_figures']
    return cfg


def run(cfg, work_dir, **changes):
    cfg = deepcopy(cfg)
    cfg.update(work_dir=str(work_dir), experiment_name=work_dir.name, **changes)
    return Runner.from_cfg(cfg)


def test_it_trains_resumes_and_predicts_without_its_teacher(config, tmp_path):
    whole = run(config, tmp_path / 'whole')
    whole.train()
    checkpoint = torch.load(tmp_path / 'whole/epoch_2.pth', weights_only=True)
    names = checkpoint['state_dict'].keys()
    assert any(name.endswith(('semantic_branch.text_embeddings', 'fc_im.weight'))
               for name in names)
    assert not [name for name in names if 'teacher' in name]
    # Three rounds, twice: a batch of each kind, or one of both.
    assert checkpoint['meta']['iter'] == 24 // config.train_dataloader.batch_size
    resumed = run(config, tmp_path / 'resumed', resume=True,
                  load_from=str(tmp_path / 'whole/epoch_1.pth'))
    resumed.train()
    for name, value in resumed.model.state_dict().items():
        torch.testing.assert_close(value, checkpoint['state_dict'][name], msg=name)

    config.model.teacher = None
    metrics = run(config, tmp_path / 'test', load_from=str(tmp_path / 'whole/epoch_2.pth')).test()
    assert metrics
