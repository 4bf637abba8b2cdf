import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[2] / 'tools'


@pytest.fixture(scope='module')
def quickstart(load_tool):
    return load_tool('quickstart.py')


@pytest.fixture
def step(quickstart, tmp_path):
    """A step that appends a line to its output."""
    output = tmp_path / 'run' / 'epoch_4.pth'
    code = (f'import pathlib; p = pathlib.Path({str(output)!r}); p.parent.mkdir(exist_ok=True); '
            'p.open("a").write("x"); print("shown", "hidden", sep=chr(10))')
    return quickstart.Step(2, 'stage 1', [sys.executable, '-c', code], 'digest', output)


def shorten(line):
    return line.strip() if 'shown' in line else None


def test_finished_step_is_not_run_again(quickstart, step, tmp_path, capsys):
    for _ in range(2):
        state = quickstart.State(tmp_path / 'state.json')
        quickstart.run_once(step, state, tmp_path / 'logs', shorten)
    assert step.output.read_text() == 'x'
    printed = capsys.readouterr().out
    assert printed.count('] 00:00 shown') == 1
    assert '[2/5 stage 1] reused' in printed
    assert '00:00 hidden' not in printed
    assert (tmp_path / 'logs/stage-1.log').read_text() == 'shown\nhidden\n'


@pytest.mark.parametrize('change', ['digest', 'output'])
def test_step_runs_again_if_its_inputs_changed_or_its_output_is_gone(
        quickstart, step, tmp_path, change):
    state = quickstart.State(tmp_path / 'state.json')
    quickstart.run_once(step, state, tmp_path, shorten)
    if change == 'output':
        step.output.unlink()
        assert not state.is_finished(step)
    else:
        other = quickstart.Step(2, 'stage 1', step.command, 'other', step.output)
        assert not state.is_finished(other)
        state.start(other)
        assert not state.is_finished(step), 'a step that began again is not finished'


def test_failing_step_shows_the_end_of_its_log_and_its_command(quickstart, tmp_path):
    code = 'print("\\n".join(map(str, range(100)))); raise SystemExit(3)'
    step = quickstart.Step(3, 'baseline', [sys.executable, '-c', code], 'd', tmp_path / 'none')
    state = quickstart.State(tmp_path / 'state.json')
    with pytest.raises(quickstart.StepFailedError) as error:
        quickstart.run_once(step, state, tmp_path, shorten)
    message = str(error.value)
    assert '\n99\n' in message and '\n50\n' not in message
    assert 'exit code 3' in message and 'baseline.log' in message and sys.executable in message
    assert not quickstart.State(tmp_path / 'state.json').is_finished(step)


def test_step_without_its_output_has_failed(quickstart, tmp_path):
    step = quickstart.Step(3, 'x', [sys.executable, '-c', ''], 'd', tmp_path / 'none')
    with pytest.raises(quickstart.StepFailedError):
        quickstart.run_once(step, quickstart.State(tmp_path / 's.json'), tmp_path, shorten)


def test_interrupted_training_resumes(quickstart, step, tmp_path):
    state = quickstart.State(tmp_path / 'state.json')
    step.output.parent.mkdir()
    assert not quickstart.can_resume(state, step), 'no checkpoint yet'
    state.start(step)
    (step.output.parent / 'epoch_1.pth').touch()
    assert quickstart.can_resume(state, step)


def test_interrupted_training_of_an_older_config_starts_anew(quickstart, step, tmp_path):
    state = quickstart.State(tmp_path / 'state.json')
    step.output.parent.mkdir()
    for name in ('epoch_1.pth', 'last_checkpoint', 'notes.txt'):
        (step.output.parent / name).touch()
    state.started[step.name] = 'older digest'
    assert not quickstart.can_resume(state, step)
    assert [path.name for path in step.output.parent.iterdir()] == ['notes.txt']


def test_checkpoints_of_another_run_are_not_touched(quickstart, step, tmp_path):
    foreign = step.output.parent / 'epoch_1.pth'
    foreign.parent.mkdir()
    foreign.touch()
    with pytest.raises(quickstart.StepFailedError, match='checkpoints of another run'):
        quickstart.can_resume(quickstart.State(tmp_path / 'state.json'), step)
    assert foreign.exists()


@pytest.mark.parametrize('line, expected', [
    ('11/21 05:20:11 - mmengine - INFO - Epoch(train)  [1][ 50/94]  base_lr: 6.0e-04 '
     'lr: 6.0e-04  eta: 0:03:15  time: 0.62  data_time: 0.01  loss: 3.2104  loss_cls: 2.1',
     'epoch 1/4, iteration 50/94, ETA 0:03:15, loss 3.210'),
    ('... INFO - Epoch(train)  [2][94/94]  lr: 1e-4  eta: 1 day, 2:03:04  time: 9  loss: nan',
     'epoch 2/4, iteration 94/94, ETA 1 day, 2:03:04, loss nan'),
    ('... INFO - Epoch(test) [10/50]    eta: 0:00:09  time: 0.2  data_time: 0.1',
     'iteration 10/50, ETA 0:00:09'),
    ('... INFO - Epoch(val)  [2][2/4]    eta: 0:00:01  time: 0.2  data_time: 0.1',
     'validation, iteration 2/4, ETA 0:00:01'),
    ('... INFO - Epoch(test) [50/50]    lvis/bbox_AP: 0.2', None),
    ('... INFO - Saving checkpoint at 1 epochs', None),
])
def test_progress_lines_are_shortened_and_others_hidden(quickstart, line, expected):
    assert quickstart.progress_of(line, max_epochs=4) == expected


def test_table_shows_percent_and_the_gain_of_unrounded_values(quickstart):
    table = quickstart.format_table({
        'stage 1': dict(AP=0.187, APr=None, APc=0.214, APf=0.434),
        'baseline': dict(AP=0.22549, APr=0.08, APc=None, APf=0.444),
        'BACL': dict(AP=0.23051, APr=0.103, APc=0.238, APf=0.44),
    })
    rows = [[cell.strip() for cell in line.split('|')[1:-1]] for line in table.splitlines()]
    assert rows[0] == ['', 'AP', 'APr', 'APc', 'APf']
    assert rows[2:] == [
        ['stage 1', '18.7', 'n/a', '21.4', '43.4'],
        ['baseline', '22.5', '8.0', 'n/a', '44.4'],
        ['BACL', '23.1', '10.3', '23.8', '44.0'],
        ['BACL - baseline', '+0.5', '+2.3', 'n/a', '-0.4'],
    ]
    assert len({len(line) for line in table.splitlines()}) == 1


def test_metrics_are_read_from_the_file_of_the_test_tool(quickstart, load_tool, tmp_path):
    names = ('AP', 'AP50', 'APr', 'APc', 'APf')
    metrics = {f'lvis/bbox_{name}': 0.1 * i for i, name in enumerate(names)}
    metrics['lvis/bbox_APr'] = float('nan')
    load_tool('test.py').write_metrics(metrics, tmp_path / 'metrics.json')
    assert quickstart.read_metrics(tmp_path / 'metrics.json') == dict(
        AP=0.0, APr=None, APc=metrics['lvis/bbox_APc'], APf=metrics['lvis/bbox_APf'])


def test_results_of_seeds_presets_and_stacks_are_kept_apart(quickstart):
    folders = {str(quickstart.parse_args(argv).work_dir)
               for argv in ([], ['--seed', '1'], ['--preset', 'smoke'], ['--mm', 'onedl'])}
    assert len(folders) == 4


def test_steps_differ_by_config_data_seed_and_stack(quickstart, tmp_path, monkeypatch):
    monkeypatch.setattr(quickstart, 'run_once', lambda *args: None)
    config = tmp_path / 'config.py'

    def digest(*argv, inputs='data', epochs=1):
        config.write_text(f'train_cfg = dict(max_epochs={epochs})\n')
        args = quickstart.parse_args([*argv, '--work-dir', str(tmp_path)])
        state = quickstart.State(tmp_path / 'state.json')
        return quickstart.train(2, 'stage 1', str(config), inputs, args, state, tmp_path).digest

    digests = [digest(), digest(epochs=2), digest(inputs='other'), digest('--seed', '1'),
               digest('--mm', 'onedl')]
    assert len(set(digests)) == 5
    assert digest() == digests[0]


@pytest.fixture
def shell_script(tmp_path):
    """A function that runs quickstart.sh; nothing is installed, Python prints its arguments."""
    shutil.copytree(TOOLS, tmp_path / 'tools')
    python = tmp_path / '.venv/bin/python'
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    python.chmod(0o755)
    (tmp_path / 'tools/_env.sh').write_text(
        f'root={tmp_path}; venv=$root/.venv; setup_env() {{ echo "install $1"; }}\n')

    def run(*arguments):
        return subprocess.run(['bash', str(tmp_path / 'tools/quickstart.sh'), *arguments],
                              capture_output=True, text=True)

    return run


@pytest.mark.parametrize('arguments, message', [
    (['--mm', 'other'], "--mm expects official or onedl, got 'other'"),
    (['--mm'], "--mm expects official or onedl, got ''"),
    (['--preset=large'], "--preset expects mini or smoke, got 'large'"),
    (['--seed', 'one'], "--seed expects a number from 0 on, got 'one'"),
    (['--seed', '-1'], "--seed expects a number from 0 on, got '-1'"),
    (['--work-dir='], '--work-dir expects a folder'),
    (['--seed', '1', '--epochs', '3'], "Unknown option '--epochs'"),
    (['smoke'], "Unknown option 'smoke'"),
])
def test_shell_script_refuses_wrong_arguments_before_installing(shell_script, arguments, message):
    done = shell_script(*arguments)
    assert done.returncode == 2
    assert done.stderr.startswith(message)
    assert done.stdout == ''


def test_shell_script_passes_its_arguments_on(shell_script):
    done = shell_script('--mm=onedl', '--preset', 'smoke', '--seed=3', '--work-dir', 'a b=c')
    assert done.stdout.splitlines() == [
        'install onedl', 'tools/quickstart.py', '--mm', 'onedl', '--preset', 'smoke',
        '--seed', '3', '--work-dir', 'a b=c']
    assert shell_script().stdout.splitlines() == ['install official', 'tools/quickstart.py']


def test_scripts_name_the_python_version_that_they_need(tmp_path):
    old = tmp_path / 'python'
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "Python 3.8.1" && exit\nexit 1\n')
    old.chmod(0o755)
    done = subprocess.run(['bash', str(TOOLS / 'run_tests.sh')], capture_output=True, text=True,
                          env=dict(PATH='/usr/bin:/bin', PYTHON=str(old)))
    assert done.returncode == 1
    assert 'Python 3.10 or newer is needed, got Python 3.8.1' in done.stderr
