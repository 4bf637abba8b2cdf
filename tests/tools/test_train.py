import json
import shutil
import subprocess
import sys
from pathlib import Path

import mmengine.device.utils as mmengine_device
import pytest
import torch

TOOLS = Path(__file__).resolve().parents[2] / 'tools'


@pytest.fixture
def load_config(load_tool, toy, monkeypatch):
    """Return the config that tools/train.py makes of a command line, without training."""
    train = load_tool('train.py')
    monkeypatch.syspath_prepend(toy)
    monkeypatch.chdir(toy)

    def load(*argv):
        monkeypatch.setattr(sys, 'argv', ['train.py', *argv])
        return train.load_config(train.parse_args())

    return load


def test_arguments_reach_the_config(load_config):
    cfg = load_config('stage1.py', '--work-dir', 'runs/a', '--seed', '3',
                      '--cfg-options', 'train_cfg.max_epochs=7')
    assert cfg.work_dir == 'runs/a'
    assert cfg.randomness.seed == 3
    assert cfg.train_cfg.max_epochs == 7


def test_mim_gives_it_no_flags_of_older_releases(load_tool, monkeypatch, capsys):
    # mim adds --gpus or --device if the help has `--gpus`, and always --launcher.
    tool = load_tool('train.py')
    monkeypatch.setattr(sys, 'argv', ['train.py', '-h'])
    with pytest.raises(SystemExit):
        tool.parse_args()
    shown = capsys.readouterr().out
    assert '--gpus' not in shown and '--launcher' in shown and '--local-rank' not in shown
    monkeypatch.setattr(sys, 'argv', ['train.py', 'c.py', '--launcher', 'none', '--local-rank=1'])
    assert (tool.parse_args().config, tool.parse_args().launcher) == ('c.py', 'none')


def test_missing_config_is_named(load_config):
    with pytest.raises(FileNotFoundError, match=r"config expects an existing file, got 'no\.py'"):
        load_config('no.py')


def test_mixed_precision_is_that_of_the_device_or_of_the_user(load_config, monkeypatch):
    for device, argv, wrapper in (
            ('cuda', [], 'OptimWrapper'), ('cuda', ['--amp'], 'AmpOptimWrapper'),
            ('cuda', ['--amp', 'bfloat16'], 'mmdet.BFloat16OptimWrapper'),
            ('cpu', ['--amp'], 'mmdet.BFloat16OptimWrapper')):
        monkeypatch.setattr(mmengine_device, 'DEVICE', device)
        cfg = load_config('stage1.py', *argv)
        assert cfg.optim_wrapper.get('type', 'OptimWrapper') == wrapper
    with pytest.raises(ValueError, match='--amp float16 expects a GPU'):
        load_config('stage1.py', '--amp', 'float16')


def test_auto_scale_lr_needs_a_base_batch_size(load_config):
    with pytest.raises(ValueError, match='--auto-scale-lr expects'):
        load_config('stage1.py', '--auto-scale-lr')
    cfg = load_config('stage1.py', '--auto-scale-lr', '--cfg-options',
                      'auto_scale_lr.base_batch_size=16')
    assert cfg.auto_scale_lr.enable


def test_stage2_without_stage1_is_refused(load_config):
    with pytest.raises(FileNotFoundError, match='--stage1-checkpoint expects'):
        load_config('stage2.py')


def test_resume_with_nothing_to_resume_is_refused(load_config):
    with pytest.raises(FileNotFoundError, match='--resume expects'):
        load_config('stage1.py', '--resume')


def test_unwritable_work_dir_is_refused(load_config):
    with pytest.raises(RuntimeError, match='--work-dir expects'):
        load_config('stage1.py', '--work-dir', 'stage1.py/run')


def run(command, toy, environment):
    done = subprocess.run(command, cwd=toy, env=environment, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300)
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture
def run_warm(toy, tool_environment, warm_python):
    """Run a tool whose imports other tests have proven; return its output."""

    def run(argv):
        done = warm_python.run(argv, cwd=toy, env=tool_environment)
        assert done.returncode == 0, done.stdout
        return done.stdout

    return run


@pytest.mark.slow
def test_both_stages_resume_and_test_from_the_command_line(toy, tool_environment, run_warm):
    run([sys.executable, str(TOOLS / 'train.py'), 'stage1.py'], toy, tool_environment)
    output = run_warm([TOOLS / 'train.py', 'stage2.py'])
    assert 'stage-1 checkpoint work_dirs/stage1/epoch_2.pth' in output.replace(f'{toy}/', '')
    output = run_warm([TOOLS / 'train.py', 'stage2.py', '--resume', '--cfg-options',
                       'train_cfg.max_epochs=3'])
    assert 'Epoch(train) [3]' in output.replace('  ', ' ')
    assert 'Epoch(train) [2]' not in output.replace('  ', ' ')

    run([sys.executable, str(TOOLS / 'test.py'), 'stage2.py', 'work_dirs/stage2/epoch_3.pth',
         '--work-dir', 'tested'], toy, tool_environment)
    metrics = json.loads((toy / 'tested/metrics.json').read_text())
    assert metrics['toy/count'] == 8
    assert metrics['toy/APr'] is None
    assert metrics['toy/weight'] == pytest.approx(2, abs=0.1)


@pytest.mark.dist
@pytest.mark.slow
def test_two_cpu_processes_test_through_the_shell_tool(toy, tool_environment, run_warm):
    run_warm([TOOLS / 'train.py', 'stage1.py', '--seed', '0'])
    run(['bash', str(TOOLS / 'dist_test.sh'), 'stage1.py', 'work_dirs/stage1/epoch_2.pth', '2'],
        toy, dict(tool_environment, PORT='29617'))
    metrics = json.loads((toy / 'work_dirs/stage1/metrics.json').read_text())
    assert metrics['toy/count'] == 8
    weights = torch.load(toy / 'work_dirs/stage1/epoch_2.pth', weights_only=True)['state_dict']
    assert metrics['toy/weight'] == pytest.approx(weights['weight'].item())


@pytest.mark.parametrize('script', ['dist_train.sh', 'dist_test.sh', 'slurm_train.sh',
                                    'slurm_test.sh'])
def test_shell_tools_without_arguments_print_their_usage(script):
    done = subprocess.run(['bash', str(TOOLS / script)], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith('Usage:')


@pytest.mark.parametrize('setting, expected', [
    ({}, '.venv/bin/python'), (dict(VIRTUAL_ENV='mine'), 'python'), (dict(PYTHON='py'), 'py')])
def test_shell_tools_run_the_python_of_the_quickstart_unless_there_is_another(
        toy, tool_environment, setting, expected):
    shutil.copytree(TOOLS, toy / 'tools')
    for name in (toy / 'srun', toy / '.venv/bin/python'):
        name.parent.mkdir(parents=True, exist_ok=True)
        name.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
        name.chmod(0o755)
    environment = {name: value for name, value in tool_environment.items()
                   if name not in ('PYTHON', 'VIRTUAL_ENV')}
    environment.update(setting, PATH=f'{toy}:{environment["PATH"]}')
    output = run(['bash', str(toy / 'tools/slurm_train.sh'), 'gpu', 'job', 'stage1.py', 'runs/a'],
                 toy, environment)
    python = output.splitlines()[output.splitlines().index('-u') - 1]
    assert python.replace(f'{toy}/', '') == expected


def test_slurm_tool_passes_its_arguments_on(toy, tool_environment):
    srun = toy / 'srun'
    srun.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    srun.chmod(0o755)
    environment = dict(tool_environment, PATH=f'{toy}:{tool_environment["PATH"]}', GPUS='4',
                       SRUN_ARGS='--time 1:00:00')
    output = run(['bash', str(TOOLS / 'slurm_train.sh'), 'gpu', 'job', 'stage1.py', 'runs/a',
                  '--cfg-options', 'key=a b'], toy, environment)
    arguments = output.splitlines()
    assert arguments[:2] == ['-p', 'gpu']
    assert '--ntasks=4' in arguments
    assert arguments[-7:] == ['stage1.py', '--work-dir', 'runs/a', '--launcher', 'slurm',
                              '--cfg-options', 'key=a b']
    assert ['--time', '1:00:00'] == arguments[arguments.index('--time'):][:2]
