import json
from copy import deepcopy

import pytest
import torch
from bacl.feature_bank import to_feature_bank
from bacl.feature_bank.sweep.run import Run, train_and_test
from mmdet.registry import DATASETS, MODELS
from mmengine.dataset import pseudo_collate
from mmengine.runner import load_checkpoint


@pytest.fixture
def softmax(stage2):
    """The config with a new softmax classifier."""
    head = stage2.model.roi_head
    head.update(type='LongTailRoIHead')
    del head['hallucinator']
    head.bbox_head.loss_cls = dict(type='CrossEntropyLoss', use_sigmoid=False)
    stage2.model.fresh = ('fc_cls',)
    stage2.custom_hooks = []
    return stage2


def test_a_calibrator_is_a_matter_of_the_test(softmax, toy, bank, tmp_path):
    ann_file = f'{toy.folder}/annotations/lvis_v1_train.json'
    trained = {}
    for name, calibrator in (('sce', None),
                             ('norcal', dict(type='NorCal', gamma=1.0, ann_file=ann_file))):
        softmax.model.test_cfg.rcnn.calibrator = calibrator
        softmax.dump(tmp_path / f'{name}.py')
        run = Run(str(tmp_path / f'{name}.py'), {}, 0, str(bank), str(toy.checkpoint))
        train_and_test([run], [tmp_path / f'{name}-test'], tmp_path / name)
        assert json.loads((tmp_path / f'{name}-test/result.json').read_text())['metrics']
        trained[name] = torch.load(tmp_path / name / 'epoch_2.pth',
                                   weights_only=False)['state_dict']
    assert trained['sce'].keys() == trained['norcal'].keys()
    assert all(torch.equal(value, trained['norcal'][key])
               for key, value in trained['sce'].items())

    # So the checkpoint of the plain training is tested with the calibrator.
    scores = []
    for calibrator in (None, dict(type='NorCal', gamma=1.0, ann_file=ann_file)):
        cfg = deepcopy(softmax)
        cfg.model.test_cfg.rcnn.calibrator = calibrator
        cfg.load_from = str(tmp_path / 'sce/epoch_2.pth')
        to_feature_bank(cfg, str(bank), training=False)
        model = MODELS.build(cfg.model).eval()
        load_checkpoint(model, cfg.load_from, logger='silent')
        batch = pseudo_collate([DATASETS.build(cfg.test_dataloader.dataset)[0]])
        with torch.no_grad():
            scores.append(model.test_step(batch)[0].pred_instances.scores)
    assert len(scores[0]) and not torch.equal(*scores)
