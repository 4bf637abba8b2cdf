"""tools/sweep.py on a tiny stage 2 over its feature bank, from the command line."""
import csv
import json
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from bacl.feature_bank import FeatureTable
from small_stage2 import build_bank, make_stage2

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / 'tools'
LR = 'optim_wrapper.optimizer.lr'
CALIBRATOR = 'model.test_cfg.rcnn.calibrator'


@pytest.fixture(scope='module')
def stage2(write_lvis, tmp_path_factory):
    """A folder with stage2.py and a bank; only read it."""
    toy = make_stage2(write_lvis(tmp_path_factory.mktemp('sweep'), 'v1'))
    build_bank(toy, toy.folder / 'bank')
    toy.cfg.test_evaluator.ann_file = str(toy.folder / 'proposed.json')
    annotate_proposals(toy.folder, toy.cfg.test_evaluator.ann_file)
    toy.cfg.dump(toy.folder / 'stage2.py')
    return toy.folder


def annotate_proposals(folder, ann_file):
    """Take every tenth proposal for an object, so that a detector with random weights has an AP."""
    data = json.loads((folder / 'annotations/lvis_v1_train.json').read_text())
    table, data['annotations'] = FeatureTable(folder / 'bank', 'val'), []
    for record in table.records:
        first = int(record['first_row'])
        boxes = table.boxes(first, first + int(record['proposals']))[::10]
        for box in boxes / np.tile(record['scale_factor'], 2):
            (x, y), (w, h) = box[:2].tolist(), (box[2:] - box[:2]).tolist()
            number = len(data['annotations'])
            data['annotations'].append(dict(
                id=number + 1, image_id=int(record['img_id']), bbox=[x, y, w, h], area=w * h,
                category_id=data['categories'][number % 3]['id'],
                segmentation=[[x, y, x + w, y, x + w, y + h]]))
    Path(ann_file).write_text(json.dumps(data))


@pytest.fixture
def start(stage2, warm_python, tmp_path):
    """Start a tool in a folder of its own."""

    def start(tool, *argv):
        return warm_python.start(
            [TOOLS / tool, *map(str, argv), '--feature-bank', str(stage2 / 'bank')], cwd=tmp_path,
            env=dict(os.environ, CUDA_VISIBLE_DEVICES='-1', OMP_NUM_THREADS='1',
                     PYTHONPATH=str(ROOT), PYTHONUNBUFFERED='1'))

    return start


def finish(process, code=0):
    output, _ = process.communicate(120)
    assert process.returncode == code, output
    return output


def read(path):
    with path.open(newline='') as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_runs_are_those_of_train_and_test_and_a_failed_one_does_not_end_the_sweep(
        start, stage2, tmp_path):
    config = stage2 / 'stage2.py'
    # No batch of no images can be made, which shows when training begins.
    fails = 'train_dataloader.batch_size=0'
    cooled = f'{LR}=0.01 {CALIBRATOR}.type=Temperature {CALIBRATOR}.temperature=0.5'
    output = finish(start('sweep.py', config, '--list', f'{LR}=0.01', cooled, fails, '--seeds', 0,
                          '--jobs', 2), code=1)
    assert 'batch_size=0, seed 0 FAILED: ValueError: batch_size' in output
    assert 'lr=0.01, seed 0: AP ' in output and 'Traceback' not in output
    log = Path(output.partition('(log: ')[2].partition(')')[0])
    assert 'Traceback' in (tmp_path / log).read_text()
    assert output.splitlines()[-1] == 'Failed: batch_size=0 (seed 0). The same command tries again.'
    row, of_cooled = read(tmp_path / 'work_dirs/sweep/results.csv')
    assert row['config'] == 'stage2' and row[LR] == '0.01' and float(row['cpu_seconds']) > 0
    assert float(row['peak_mb']) > 100  # it has imported torch
    assert of_cooled[f'{CALIBRATOR}.temperature'] == '0.5'

    finish(start('train.py', config, '--seed', 0, '--work-dir', 'plain', '--cfg-options',
                 f'{LR}=0.01'))
    finish(start('test.py', config, 'plain/epoch_2.pth', '--work-dir', 'tested'))
    finish(start('test.py', config, 'plain/epoch_2.pth', '--work-dir', 'cooled', '--cfg-options',
                 f'{CALIBRATOR}.type=Temperature', f'{CALIBRATOR}.temperature=0.5'))
    metrics = [json.loads(path.read_text())['metrics']
               for path in tmp_path.glob('work_dirs/sweep/runs/*/result.json')]
    expected = [json.loads((tmp_path / name / 'metrics.json').read_text())
                for name in ('tested', 'cooled')]
    assert expected[0] != expected[1] and expected[0]['lvis/bbox_AP'] > 0.01
    assert len(metrics) == 2 and all(result in metrics for result in expected)
    # The two share a training.
    (folder,) = (path.parent for path in tmp_path.glob('work_dirs/sweep/trainings/*/training.json'))
    assert [path.name for path in folder.glob('*.pth')] == ['epoch_2.pth']
    swept, trained = (torch.load(path / 'epoch_2.pth', weights_only=False)['state_dict']
                      for path in (folder, tmp_path / 'plain'))
    assert swept.keys() == trained.keys()
    assert all(torch.equal(value, trained[name]) for name, value in swept.items())


@pytest.mark.slow
def test_ctrl_c_leaves_what_is_finished(start, stage2, tmp_path):
    arguments = (stage2 / 'stage2.py', '--set', f'{LR}=0.01,0.02', '--seeds', 0)
    process = start('sweep.py', *arguments)
    while not list(tmp_path.glob('work_dirs/sweep/runs/*/result.json')):
        assert process.poll() is None
        time.sleep(0.05)
    while len(runs := list(tmp_path.glob('work_dirs/sweep/logs/*.log'))) < 2:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    output = finish(process, code=1)
    assert 'the same command goes on with 1 runs' in output and 'Traceback' not in output
    assert len(read(tmp_path / 'work_dirs/sweep/results.csv')) == 1
    assert len(list(tmp_path.glob('work_dirs/sweep/runs/*/result.json'))) == 1 < len(runs)
    output = finish(start('sweep.py', *arguments))
    assert '1 runs to do, 1 results are there' in output and '[1/1] lr=0.02, seed 0: AP' in output
    assert len(read(tmp_path / 'work_dirs/sweep/results.csv')) == 2
    assert (tmp_path / 'work_dirs/sweep/table.md').read_text() in output


def test_mistakes_are_one_line(load_tool, stage2, tmp_path, monkeypatch):
    tool = load_tool('sweep.py')
    monkeypatch.chdir(tmp_path)

    def refusal(*argv):
        monkeypatch.setattr('sys.argv', ['sweep.py', *map(str, argv)])
        with pytest.raises(SystemExit) as error:
            tool.main()
        return error.value.code

    config, bank = stage2 / 'stage2.py', ('--feature-bank', stage2 / 'bank')
    assert f"the nearest is '{LR}'" in refusal(config, *bank, '--set', f'{LR}r=1,2')
    assert "expects a number, as 0.01, got 'fast'" in refusal(
        config, *bank, '--list', f'{LR}=1', f'{LR}=fast')
    assert 'without meta.json' in refusal(config, '--feature-bank', 'none')
    assert "got 'no.py'" in refusal('no.py', *bank)
    assert 'expects rows that differ' in refusal(config, config, *bank)
    assert not (tmp_path / 'work_dirs/sweep/runs').exists()


@pytest.mark.parametrize('argv, message', [
    (['c.py'], '--feature-bank'), (['c.py', '--feature-bank', 'b', '--jobs', '0'],
                                   "--jobs: expects a number from 1 on, got '0'")])
def test_arguments_are_checked(load_tool, capsys, argv, message):
    with pytest.raises(SystemExit):
        load_tool('sweep.py').parse_args(argv)
    assert message in capsys.readouterr().err
