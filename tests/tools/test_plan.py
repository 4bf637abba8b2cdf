"""tools/plan.py and tools/run_plan.sh from the command line."""
import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with ten images in `data/birds` and their annotations."""
    images = tmp_path / 'data/birds/photos'
    images.mkdir(parents=True)
    for i in range(10):
        cv2.imwrite(str(images / f'{i}.png'), np.zeros((50, 60, 3), dtype=np.uint8))
    (tmp_path / 'data/birds/all.json').write_text(json.dumps(dict(
        images=[dict(id=i, file_name=f'{i}.png', width=60, height=50) for i in range(10)],
        annotations=[dict(id=i, image_id=i, category_id=i % 2, bbox=[5, 5, 30, 20], area=600)
                     for i in range(10)],
        categories=[dict(id=0, name='tit'), dict(id=1, name='wren')])))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(load_tool, monkeypatch):
    tool = load_tool('plan.py')

    def run(*arguments):
        monkeypatch.setattr(sys, 'argv', ['plan.py', *map(str, arguments)])
        tool.main()

    return run


def test_plan_is_written_and_shown_with_the_next_commands(run, folder, capsys):
    run('--train', 'data/birds/all.json', '--images', 'data/birds/photos', '--gpus', 0,
        '--val-share', 0.4)
    shown = capsys.readouterr().out
    assert (folder / 'configs/birds/plan.json').is_file()
    assert 'Written to configs/birds; README.md there has the reasons.' in shown
    assert 'all.json is split by image, 6 for training and 4 for validation (seed 0)' in shown
    assert 'bash tools/run_plan.sh configs/birds' in shown
    readme = (folder / 'configs/birds/README.md').read_text()
    assert 'python tools/plan.py --train data/birds/all.json --images data/birds/photos' in readme
    assert len(readme.splitlines()) < 60


@pytest.mark.parametrize('arguments, message', [
    (['--train', 'data/birds/none.json'],
     'FileNotFoundError: Annotation file data/birds/none.json'),
    (['--detector', 'faster-rcnn_r50_fpn', '--gpus', 0], 'needs a GPU, and there is none here'),
    (['--gpus', -1], '--gpus expects a number from 0 on, got -1'),
    (['--memory', 0], '--memory expects GB above 0, got 0'),
    (['--epochs', 0], '--epochs expects a number from 1 on, got 0'),
    (['--val-share', 1.5], '--val-share expects a number between 0 and 1, got 1.5'),
    (['--open-images', -1], '--open-images expects a number from 0 on, got -1'),
    (['--val-images', 'data/birds'], '--val-images expects --val'),
    (['--name', '../x'], "--name expects letters, digits"),
    (['--images', 'data/none'], "--images expects a folder, got 'data/none'")])
def test_what_is_wrong_is_one_line(run, folder, arguments, message):
    defaults = ['--train', 'data/birds/all.json', '--images', 'data/birds/photos', '--gpus', 0]
    with pytest.raises(SystemExit, match=message) as error:
        run(*defaults, *arguments)
    assert '\n' not in str(error.value)
    assert not (folder / 'configs').exists()


def test_refused_annotations_are_named_with_file_and_id(run, folder):
    path = folder / 'data/birds/all.json'
    data = json.loads(path.read_text())
    data['annotations'][7]['category_id'] = 5
    path.write_text(json.dumps(data))
    with pytest.raises(SystemExit) as error:
        run('--train', path, '--images', 'data/birds/photos')
    assert 'all.json is refused' in str(error.value) and 'annotation 7 of category 5' in \
        str(error.value)


def test_shell_script_hands_its_arguments_to_python(tmp_path):
    python = tmp_path / 'python'
    python.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    python.chmod(0o755)
    env = dict(os.environ, PYTHON=str(python))
    done = subprocess.run(
        ['bash', ROOT / 'tools/run_plan.sh', 'configs/my birds', '2', '--seed', '3'],
        capture_output=True, text=True, env=env)
    assert done.stdout.splitlines() == [
        f'{ROOT}/tools/run_plan.py', 'configs/my birds', '2', '--seed', '3']
    done = subprocess.run(['bash', ROOT / 'tools/run_plan.sh'], capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.startswith('Usage: bash')


def test_a_plan_is_run_where_the_tools_are(load_tool, monkeypatch, folder):
    tool = load_tool('run_plan.py')
    monkeypatch.setattr(sys, 'argv', ['run_plan.py', 'configs/birds'])
    with pytest.raises(SystemExit, match='root of the checkout'):
        tool.main()
    monkeypatch.chdir(ROOT)
    with pytest.raises(SystemExit, match='configs/birds has no plan.json'):
        tool.main()
