"""Stage 2 of methods that train parts of the head only, with their configs and a real runner."""
from pathlib import Path

import bacl  # noqa: F401
import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config, config
from mmengine.runner import Runner

CONFIGS = Path(__file__).parents[1] / 'configs'
PREFIX = 'faster-rcnn_effnet-lite0_emoji-lt-mini'
METHODS = {
    'disalign/stage2-disalign': ('fc_cls.logit_scale', 'fc_cls.logit_bias', 'fc_cls.confidence'),
    'simcal/stage2-simcal': ('calibration_heads',),
}


def small(name, data_root):
    """The config of a method on Emoji-LT mini, on a tiny dataset of three classes."""
    family, _, method = name.partition('/')
    cfg = Config.fromfile(CONFIGS / family / f'{PREFIX}_{method}.py')
    cfg.model.backbone.init_cfg = None
    cfg.model.train_cfg.rpn_proposal.max_per_img = cfg.model.test_cfg.rpn.max_per_img = 30
    cfg.model.roi_head.bbox_head.update(num_classes=3, fc_out_channels=8)
    ann_file = 'annotations/lvis_v1_train.json'
    for loader in (cfg.train_dataloader, cfg.test_dataloader):
        dataset = loader.dataset
        dataset.get('dataset', dataset).update(
            data_root=str(data_root), ann_file=ann_file, data_prefix=dict(img=''))
        loader.update(batch_size=2, num_workers=0, persistent_workers=False)
    cfg.test_evaluator = dict(type='FastLVISMetric', metric='bbox',
                              ann_file=f'{data_root}/{ann_file}')
    cfg.val_dataloader = cfg.val_evaluator = cfg.val_cfg = None
    cfg.visualizer.vis_backends = [dict(type='LocalVisBackend')]
    del cfg.default_hooks.class_figures
    if cfg.train_dataloader.sampler.type == 'EpisodicSampler':
        cfg.train_dataloader.sampler.update(num_episodes=2, classes_per_episode=2)
    return cfg


def run(cfg, mode, name, **settings):
    cfg.merge_from_dict(dict(randomness=dict(seed=0), experiment_name=name, **settings))
    cfg.visualizer.name = name
    runner = Runner.from_cfg(cfg)
    return getattr(runner, mode)(), runner.model.state_dict()


@pytest.mark.parametrize('name', METHODS)
def test_only_its_parts_learn_and_a_test_finds_all_in_the_checkpoint(
        name, make_lvis, tmp_path, monkeypatch):
    # Most of the time would go into the layout of the config in the log.
    monkeypatch.setattr(config, 'FormatCode', lambda text, **kwargs: (text, False))
    data_root = make_lvis('v1')
    torch.manual_seed(0)
    stage1 = MODELS.build(small('baselines/stage1', data_root).model).state_dict()
    torch.save(dict(state_dict=stage1), tmp_path / 'stage1.pth')

    cfg = small(name, data_root)
    run(cfg, 'train', f'{name} train', load_from=str(tmp_path / 'stage1.pth'),
        work_dir=str(tmp_path / 'work'), **{'train_cfg.max_epochs': 1})
    trained = torch.load(tmp_path / 'work/epoch_1.pth', weights_only=True)['state_dict']
    assert all(torch.equal(trained[key], value) for key, value in stage1.items())
    learned = {key for key in trained if any(part in key for part in METHODS[name])}
    assert trained.keys() - stage1.keys() - learned == {
        key for key in trained if key.endswith('class_counts.counts')}
    (counts,) = (value for key, value in trained.items() if key.endswith('class_counts.counts'))
    assert counts.tolist() == [2, 5, 1]  # of the training data
    for key in learned & {f'roi_head.calibration_heads.0.{part}' for part in (
            'shared_fcs.0.weight', 'fc_cls.bias')}:
        start = stage1[key.replace('calibration_heads.0', 'bbox_head')]
        assert not torch.equal(trained[key], start)  # from a copy, but gone on
        assert (trained[key] - start).abs().max() < 0.05

    metrics, loaded = run(small(name, data_root), 'test', f'{name} test',
                          load_from=str(tmp_path / 'work/epoch_1.pth'),
                          work_dir=str(tmp_path / 'test'))
    assert 0 <= metrics['lvis/bbox_AP'] <= 1
    assert all(torch.equal(value, trained[key]) for key, value in loaded.items())
