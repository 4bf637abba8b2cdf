"""Tutorials, cell by cell: all but trainings and predictions, which .ci/run does."""
import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from bacl.engine.running import steps
from bacl.planning.chain import Chain

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def called(smoke_data, load_tool, tmp_path, monkeypatch):
    """The tools that were run. Plans are made; a training leaves a checkpoint and numbers."""
    monkeypatch.chdir(tmp_path)
    found = []

    def run_step(step, log_dir, report):
        step.output.parent.mkdir(parents=True, exist_ok=True)
        step.output.write_text(json.dumps({
            f'coco_lt/bbox_{name}': 0.5 for name in ('AP', 'AP1', 'AP2', 'AP3', 'AP4')}))

    def run(command, check):
        program, arguments = command[1], command[2:]
        assert (ROOT / program).is_file() and check
        found.append(Path(program).name)
        monkeypatch.setattr(sys, 'argv', [program, *arguments])
        if program.endswith('build_emoji_lt.py'):
            out = load_tool('dataset_tools/build_emoji_lt.py').parse_args().out
            out.parent.mkdir(parents=True)
            out.symlink_to(smoke_data)
        elif program.endswith('plan.py'):
            load_tool('plan.py').main()
        elif program.endswith('run_plan.sh'):
            args = load_tool('run_plan.py').parse_args()
            Chain.of_folder(args.folder, args.gpus).run()
        else:
            args = load_tool(Path(program).name).parse_args()
            assert Path(args.config).is_file() or 'calibration' in args.config
            assert Path(args.checkpoint).is_file()

    monkeypatch.setattr(steps, 'run_step', run_step)
    monkeypatch.setattr(subprocess, 'run', run)
    return found


def test_own_data(called, capsys):
    space = runpy.run_path(str(ROOT / 'tools/tutorials/own_data.py'))
    assert called == ['build_emoji_lt.py', 'plan.py', 'run_plan.sh', 'calibrate.py', 'predict.py']
    shown = capsys.readouterr().out
    assert '| matter | decision | because |' in shown and '| BACL              | 50.0 |' in shown
    names = space['listed'].read_text().split('\n')
    assert 28 <= len(names) < 40 and all(Path(name).is_file() for name in names)
    assert space['checkpoint'].name == 'epoch_1.pth'
