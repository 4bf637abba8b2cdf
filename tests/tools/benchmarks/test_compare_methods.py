"""tools/benchmarks/compare_methods.py on a tiny stage 2, from the command line."""
import os
import re
import shutil
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml
from mmengine.config import Config
from small_stage2 import make_stage2

ROOT = Path(__file__).resolve().parents[3]
COMPARISON = dict(
    learning_rates=[1, 2], calibrators={'LogitAdjustment': {'tau': [0.5, 1.0]}}, baseline='FHM',
    reference='BACL', methods=[
        dict(name='BACL', config='stage2', idea='loss and features', plain='FHM',
             strength={'model.roi_head.hallucinator.num_sampled_classes': [2]}),
        dict(name='FHM', config='stage2', idea='features', plain='FHM',
             calibrators=['LogitAdjustment'], settings={
                 'model.roi_head.bbox_head.loss_cls.with_margin': False,
                 'model.roi_head.bbox_head.loss_cls.with_weight': False})])


@pytest.fixture
def folder(write_lvis, tmp_path, load_tool):
    """A folder with configs/family/stage2.py, its data, stage 1, and what is to be compared."""
    (tmp_path / 'toy').mkdir()
    toy = make_stage2(write_lvis(tmp_path / 'toy', 'v1'))
    toy.cfg.test_evaluator.max_dets_per_class = 5
    train = tmp_path / 'toy/annotations/lvis_v1_train.json'
    load_tool('dataset_tools/split_annotations.py').split(
        Namespace(ann_file=train, share=0.3, seed=0, out=None))
    stage1 = torch.load(toy.checkpoint)
    stage1['meta'] = dict(
        cfg="train_dataloader = dict(ann_file='annotations/lvis_v1_train_part.json')")
    torch.save(stage1, toy.checkpoint)
    (tmp_path / 'configs/family').mkdir(parents=True)
    toy.cfg.dump(tmp_path / 'configs/family/stage2.py')
    (tmp_path / 'small').mkdir()
    (tmp_path / 'small/methods.yml').write_text(yaml.safe_dump(COMPARISON))
    return tmp_path


COMMAND = [ROOT / 'tools/benchmarks/compare_methods.py', '--comparison', 'small']
STAGE1 = ('--stage1-checkpoint', 'toy/stage1.pth')
ENVIRONMENT = dict(os.environ, CUDA_VISIBLE_DEVICES='-1', OMP_NUM_THREADS='1',
                   PYTHONPATH=str(ROOT))


@pytest.fixture
def compare(folder, warm_python):
    """Run the tool in the folder."""
    return lambda *argv: warm_python.run([*COMMAND, *argv], cwd=folder, env=ENVIRONMENT)


@pytest.mark.slow
def test_methods_are_tuned_calibrated_tested_and_reused(folder, compare):
    done = compare('--seeds', '0', '1', '--jobs', '2', *STAGE1)
    assert done.returncode == 0, done.stdout
    out = folder / 'work_dirs/comparison/small'
    text = (out / 'comparison.csv').read_text()
    frame = pd.read_csv(out / 'comparison.csv').fillna({'calibrator': ''})
    assert sorted(frame['row']) == ['BACL', 'FHM', 'FHM + LogitAdjustment']
    assert set(frame['seeds']) == {2} and frame['state_mb'].min() > 0
    assert frame[['AP', 'fixed_AP', 'cpu_seconds', 'peak_mb']].notna().all(axis=None)
    trials = pd.read_csv(out / 'trials.csv')
    assert list(trials['method']) == 2 * ['BACL', 'BACL', 'FHM', 'FHM']
    assert len(pd.read_csv(out / 'runs.csv')) == 6 and (out / 'report/index.html').is_file()
    # BACL: two rates, a strength beside the config's; FHM: two rates. What was chosen trains again.
    trained = len(list((out / 'trainings').iterdir()))
    assert trained == 3 + 2 + 2
    again = compare('--seeds', '0', '1', *STAGE1)
    assert again.returncode == 0 and 'seed' not in again.stdout.partition('row')[0]
    assert len(list((out / 'trainings').iterdir())) == trained
    assert (out / 'comparison.csv').read_text() == text
    more = compare('--seeds', '0', '1', '2', '--finished', *STAGE1)
    assert more.returncode == 0, more.stdout
    assert (out / 'comparison.csv').read_text() == text
    assert len(list((out / 'trainings').iterdir())) == trained
    known = compare('--seeds', '0', '--work-dir', 'other', '--trials', str(out / 'trials.csv'),
                    *STAGE1)
    assert known.returncode == 0 and '8 trials are known' in known.stdout
    assert len(list((folder / 'other/trainings').iterdir())) == 2  # nothing is tried
    assert (folder / 'other/trials.csv').read_text() == (out / 'trials.csv').read_text()
    chosen = pd.read_csv(folder / 'other/comparison.csv')['settings']
    assert list(chosen) == list(frame['settings'])


@pytest.fixture
def whole(folder):
    """Compare whole detectors; returns what writes their two configs, with a stage 1 or none."""
    stage1 = torch.load(folder / 'toy/stage1.pth')
    stage1['meta']['cfg'] = (
        "train_dataloader = dict(ann_file='annotations/lvis_v1_train.json', data_root='toy/')")
    torch.save(stage1, folder / 'toy/stage1.pth')
    cfg = Config.fromfile(folder / 'configs/family/stage2.py')
    cfg.model.type, cfg.model.roi_head.type = 'FasterRCNN', 'StandardRoIHead'
    del cfg.model.roi_head.hallucinator
    content = dict(COMPARISON, trains_features=True, learning_rates=[1], calibrators={}, methods=[
        dict(name='BACL', config='whole', idea='loss', plain='FHM'), dict(
            name='FHM', config='other', idea='loss', plain='FHM', settings={
                'model.roi_head.bbox_head.loss_cls.with_margin': False})])
    (folder / 'small/methods.yml').write_text(yaml.safe_dump(content))

    def write(stage1_of_whole=None, stage1_of_other=None):
        for name, stage1 in (('whole', stage1_of_whole), ('other', stage1_of_other)):
            cfg.pop('stage1_config', None)
            cfg.update({'stage1_config': stage1} if stage1 else {})
            cfg.dump(folder / f'configs/family/{name}.py')

    cfg.optim_wrapper.optimizer.lr = 1e-9  # weights stay those of the start
    return write


def weights(folder, name):
    (path,) = folder.glob(f'work_dirs/comparison/small/trainings/{name}_*/epoch_*.pth')
    return torch.load(path)['state_dict']


@pytest.mark.slow
def test_whole_detectors_start_anew_or_from_one_stage_1(folder, compare, whole):
    layer = 'roi_head.bbox_head.shared_fcs.0.weight'
    stage1 = torch.load(folder / 'toy/stage1.pth')
    stage1['state_dict'][layer] += 1  # unlike any start
    torch.save(stage1, folder / 'toy/stage1.pth')
    whole()
    done = compare('--seeds', '0')
    assert done.returncode == 0, done.stdout
    assert len(pd.read_csv(folder / 'work_dirs/comparison/small/comparison.csv')) == 2
    assert not (folder / 'work_dirs/comparison/small/bank').exists()
    assert weights(folder, 'whole')[layer].mean() < 0.5
    shutil.rmtree(folder / 'work_dirs')
    whole('stage1.py', 'stage1.py')
    done = compare('--seeds', '0', *STAGE1)
    assert done.returncode == 0, done.stdout
    for name in ('whole', 'other'):
        torch.testing.assert_close(weights(folder, name)[layer], stage1['state_dict'][layer],
                                   atol=1e-4, rtol=0)


@pytest.mark.parametrize(('stages', 'argv', 'message'), [
    (('stage1.py', None), STAGE1, "same stage1_config.*'whole': 'stage1', 'other': None"),
    ((None, None), STAGE1, '--stage1-checkpoint expects a stage-2 config'),
    (('stage1.py', 'stage1.py'), (), 'expects the checkpoint of stage 1')])
def test_a_stage_1_is_that_of_all(folder, compare, whole, stages, argv, message):
    whole(*stages)
    done = compare('--seeds', '0', *argv)
    assert done.returncode == 1 and re.search(message, done.stdout)
    assert 'Traceback' not in done.stdout


@pytest.mark.parametrize('dataset', [
    "data_root='toy', ann_file='annotations/others.json'",
    "data_root='others', ann_file='annotations/lvis_v1_train.json'"])
def test_a_stage_1_of_other_images_is_refused(folder, compare, whole, dataset):
    stage1 = torch.load(folder / 'toy/stage1.pth')
    stage1['meta']['cfg'] = f'train_dataloader = dict({dataset})'
    torch.save(stage1, folder / 'toy/stage1.pth')
    whole('stage1.py', 'stage1.py')
    done = compare('--seeds', '0', *STAGE1)
    assert done.returncode == 1 and re.search(
        r"'BACL' is trained on .*toy/annotations/lvis_v1_train\.json, and .*stage1\.pth does not "
        r'say .*ann_file=annotations/lvis_v1_train\.json', done.stdout)


def test_mistakes_are_one_line(folder):
    done = subprocess.run([sys.executable, *COMMAND, '--methods', 'FHN'], cwd=folder,
                          env=ENVIRONMENT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 1 and "expects some of ['BACL', 'FHM'], got 'FHN'" in done.stderr
    assert 'Traceback' not in done.stderr
