import json
import shutil
from copy import deepcopy
from pathlib import Path

import pytest
import torch
from bacl.feature_bank import FeatureBankError, checkpoint_of_bank
from mmdet.registry import DATASETS
from mmengine.config import Config
from mmengine.runner import Runner

ROOT = Path(__file__).parents[2]


def saved(toy, path, name, change):
    checkpoint = torch.load(toy.checkpoint, weights_only=True)
    checkpoint['state_dict'][name] += change
    torch.save(checkpoint, path)
    return path


@pytest.mark.parametrize('name', ['backbone.stem.conv.weight', 'rpn_head.rpn_cls.bias',
                                  'roi_head.bbox_head.shared_fcs.1.bias'])
def test_a_bank_of_another_checkpoint_is_refused(name, toy, over_bank, tmp_path):
    other = saved(toy, tmp_path / 'other.pth', name, 1e-3)
    with pytest.raises(FeatureBankError, match=rf'other\.pth[^$]*weights\.{name.split(".")[0]}: '):
        over_bank(checkpoint=other)


def test_a_trained_classifier_fits_the_bank(toy, over_bank, tmp_path):
    over_bank(checkpoint=saved(toy, tmp_path / 'trained.pth', 'roi_head.bbox_head.fc_cls.weight',
                               1.0), training=False)


@pytest.mark.parametrize('setting, named', [
    ({'model.neck.num_outs': 5}, 'model.neck.num_outs: 4 in the bank, 5 here'),
    ({'model.test_cfg.rpn.max_per_img': 7}, 'model.test_cfg.rpn.max_per_img: 100 in the bank, 7'),
    ({'train_dataloader.dataset.filter_cfg.min_size': 32}, r'train\.filter_cfg\.min_size: -'),
    ({'model.roi_head.bbox_head.num_classes': 4}, '3 classes.*num_classes=4'),
])
def test_other_settings_are_named(setting, named, over_bank):
    with pytest.raises(FeatureBankError, match=named):
        over_bank(**setting)


@pytest.mark.parametrize('setting', [
    {'model.train_cfg.rcnn.sampler.num': 16, 'model.test_cfg.rcnn.max_per_img': 7},
    {'model.roi_head.bbox_head.loss_cls.alpha': 0.1, 'train_dataloader.batch_size': 4},
    {'model.roi_head.bbox_head.cls_predictor_cfg': dict(type='NormedLinear')},
])
def test_what_comes_after_the_features_is_free(setting, over_bank):
    over_bank(**setting)


def test_other_annotations_are_refused(toy, stage2, over_bank, tmp_path):
    data = json.loads((toy.folder / 'annotations/lvis_v1_train.json').read_text())
    data['annotations'][0]['bbox'][0] += 1
    (tmp_path / 'moved.json').write_text(json.dumps(data))
    with pytest.raises(FeatureBankError, match='train.annotations: '):
        over_bank(**{'train_dataloader.dataset.ann_file': str(tmp_path / 'moved.json')})


def test_another_test_set_than_the_validation_needs_a_split_of_its_own(over_bank, make_bank,
                                                                       stage2):
    other = {'test_dataloader.dataset.indices': 2}
    with pytest.raises(FeatureBankError, match='splits train, val, this config train, val, test'):
        over_bank(**other)
    stage2.test_dataloader = deepcopy(stage2.test_dataloader)
    stage2.test_dataloader.dataset.indices = 2
    folder = make_bank(cfg=stage2)
    for settings, split in ((other, 'test'), ({}, 'val')):
        cfg = over_bank(folder, training=False, **settings)
        assert cfg.test_dataloader.dataset.pipeline[0].split == split


def test_a_test_needs_no_training_images(toy, over_bank):
    over_bank(training=False, **{'train_dataloader.dataset.filter_cfg.min_size': 32})


def test_a_bank_of_other_code_is_refused(over_bank, monkeypatch, tmp_path):
    package = tmp_path / 'bacl'
    shutil.copytree(ROOT / 'bacl', package, ignore=shutil.ignore_patterns('__pycache__'))
    monkeypatch.setattr('bacl.feature_bank.fingerprint._PACKAGE', package)

    def change(name, old, new):
        text = (package / name).read_bytes()
        assert old in text
        (package / name).write_bytes(text.replace(old, new))

    change('models/losses/fcbl.py', b'alpha', b'beta')  # comes after the features
    backbone = 'models/backbones/efficientnet_lite.py'
    change(backbone, b'\n', b'\r\n')
    over_bank()
    change(backbone, b'stride', b'step')
    with pytest.raises(FeatureBankError, match=rf'bacl/{backbone}: \w+ in the bank, \w+ here'):
        over_bank()


@pytest.mark.parametrize('kind, training', [('FasterRCNN', True), ('CascadeRCNN', False)])
def test_detectors_that_learn_features_or_have_no_bank_are_refused(kind, training, over_bank):
    with pytest.raises(FeatureBankError, match=kind):
        over_bank(training=training, **{'model.type': kind})


def test_masks_are_not_evaluated(stage2, over_bank):
    masks = Config.fromfile(ROOT / 'configs/_base_/models/mask-rcnn_r50_fpn.py').model.roi_head
    settings = {f'model.roi_head.{key}': masks[key].to_dict()
                for key in ('mask_roi_extractor', 'mask_head')}
    metrics = {'val_evaluator.metric': ['bbox', 'segm'], 'test_evaluator.metric': 'segm'}
    cfg = over_bank(**settings, **metrics)
    assert cfg.val_evaluator.metric == cfg.test_evaluator.metric == 'bbox'
    assert over_bank(**metrics).val_evaluator.metric == ['bbox', 'segm']  # of a detector without


def test_a_bank_without_jittered_boxes_is_refused_where_they_are_wanted(make_bank, over_bank):
    folder = make_bank(jitters=0)
    with pytest.raises(FeatureBankError, match='--jitters'):
        over_bank(folder)
    over_bank(folder, **{'model.roi_head.hallucinator': None})


def test_wrappers_that_repeat_images_stay(stage2, over_bank):
    plain = stage2.train_dataloader.dataset.to_dict()
    cfg = over_bank(**{'train_dataloader.dataset': dict(
        _delete_=True, type='RepeatDataset', times=2, dataset=plain)})
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    assert len(dataset) == 10
    assert dataset[6]['data_samples'].img_id == dataset[1]['data_samples'].img_id


def test_what_mixes_images_has_done_so_in_the_bank(stage2, make_bank, over_bank):
    dataset = stage2.train_dataloader.dataset.to_dict()
    *first, pack = dataset['pipeline']
    stage2.train_dataloader.dataset = dict(
        type='MultiImageMixDataset', dataset=dict(dataset, pipeline=first), pipeline=[pack])
    folder = make_bank(cfg=stage2)
    cfg = over_bank(folder, **{'train_dataloader.dataset': dict(
        _delete_=True, **stage2.train_dataloader.dataset.to_dict())})
    assert cfg.train_dataloader.dataset.type == 'LongTailLVISV1Dataset'
    assert len(DATASETS.build(cfg.train_dataloader.dataset)[0]['data_samples'].gt_instances) == 3


def test_images_that_the_pipeline_leaves_out_are_replaced(over_bank):
    dataset = DATASETS.build(over_bank().train_dataloader.dataset)
    assert len(dataset) == 5
    assert dataset[4]['data_samples'].img_id != 5  # its only object is too small


def test_the_checkpoint_of_a_bank_is_remembered(bank, toy):
    assert Path(checkpoint_of_bank(bank)) == toy.checkpoint.resolve()


def test_the_dumped_config_is_complete(over_bank, tmp_path, toy):
    cfg = over_bank()
    cfg.work_dir = str(tmp_path / 'run')
    assert 'bacl.feature_bank' in cfg.custom_imports['imports']
    Runner.from_cfg(cfg)
