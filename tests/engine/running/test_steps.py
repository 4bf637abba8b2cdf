import sys
from pathlib import Path

import pytest
from bacl.engine.running import steps
from bacl.engine.running.steps import (
    State,
    Step,
    StepFailedError,
    can_resume,
    progress_of,
    run_once,
)


def shorten(line):
    return line.strip() if 'shown' in line else None


@pytest.fixture
def step(tmp_path):
    """A step that appends a line to its output."""
    output = tmp_path / 'run' / 'epoch_4.pth'
    code = (f'import pathlib; p = pathlib.Path({str(output)!r}); p.parent.mkdir(exist_ok=True); '
            'p.open("a").write("x"); print("shown", "hidden", sep=chr(10))')
    return Step('stage 1', [sys.executable, '-c', code], 'digest', output, '2/5 stage 1', shorten)


@pytest.fixture
def lines():
    """What was reported."""
    return []


def test_finished_step_is_not_run_again(step, tmp_path, lines):
    for _ in range(2):
        state = State(tmp_path / 'state.json')
        run_once(step, state, tmp_path / 'logs', lines.append)
    assert step.output.read_text() == 'x'
    assert lines.count('[2/5 stage 1] 00:00 shown') == 1
    assert lines[-1].startswith('[2/5 stage 1] reused')
    assert not any('00:00 hidden' in line for line in lines)
    assert (tmp_path / 'logs/stage-1.log').read_text() == 'shown\nhidden\n'


@pytest.mark.parametrize('change', ['digest', 'output'])
def test_step_runs_again_if_its_inputs_changed_or_its_output_is_gone(
        step, tmp_path, change):
    state = State(tmp_path / 'state.json')
    run_once(step, state, tmp_path, print)
    if change == 'output':
        step.output.unlink()
        assert not state.is_finished(step)
    else:
        other = Step('stage 1', step.command, 'other', step.output)
        assert not state.is_finished(other)
        state.start(other)
        assert not state.is_finished(step), 'a step that began again is not finished'


def test_failing_step_shows_the_end_of_its_log_and_its_command(tmp_path):
    code = 'print("\\n".join(map(str, range(100)))); raise SystemExit(3)'
    step = Step('baseline', [sys.executable, '-c', code], 'd', tmp_path / 'none')
    state = State(tmp_path / 'state.json')
    with pytest.raises(StepFailedError) as error:
        run_once(step, state, tmp_path, print)
    message = str(error.value)
    assert '\n99\n' in message and '\n50\n' not in message
    assert 'exit code 3' in message and 'baseline.log' in message
    assert Path(sys.executable).name in message and 'raise SystemExit(3)' in message
    assert not State(tmp_path / 'state.json').is_finished(step)


def test_step_without_its_output_has_failed(tmp_path):
    step = Step('x', [sys.executable, '-c', ''], 'd', tmp_path / 'none')
    with pytest.raises(StepFailedError):
        run_once(step, State(tmp_path / 's.json'), tmp_path, print)


def test_interrupted_training_resumes(step, tmp_path):
    state = State(tmp_path / 'state.json')
    step.output.parent.mkdir()
    assert not can_resume(state, step), 'no checkpoint yet'
    state.start(step)
    (step.output.parent / 'epoch_1.pth').touch()
    assert can_resume(state, step)


def test_interrupted_training_of_an_older_config_starts_anew(step, tmp_path):
    state = State(tmp_path / 'state.json')
    step.output.parent.mkdir()
    for name in ('epoch_1.pth', 'last_checkpoint', 'notes.txt'):
        (step.output.parent / name).touch()
    state.started[step.name] = 'older digest'
    assert not can_resume(state, step)
    assert [path.name for path in step.output.parent.iterdir()] == ['notes.txt']


def test_checkpoints_of_another_run_are_not_touched(step, tmp_path):
    foreign = step.output.parent / 'epoch_1.pth'
    foreign.parent.mkdir()
    foreign.touch()
    with pytest.raises(StepFailedError, match='checkpoints of another run'):
        can_resume(State(tmp_path / 'state.json'), step)
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
def test_progress_lines_are_shortened_and_others_hidden(line, expected):
    assert progress_of(line, max_epochs=4) == expected


def test_metrics_are_read_from_the_file_of_the_test_tool(tmp_path):
    path = tmp_path / 'metrics.json'
    path.write_text('{"lvis/bbox_AP": 0.1, "lvis/bbox_APr": null, "lvis/bbox_APc": 0.2, '
                    '"lvis/bbox_APf": 0.3, "lvis/bbox_AP50": 0.4}')
    assert steps.read_metrics(path) == dict(AP=0.1, APr=None, APc=0.2, APf=0.3)
    path.write_text('{"coco_lt/bbox_AP": 0.1, "coco_lt/bbox_AP1": 0.2}')
    assert steps.read_metrics(path, ['AP1'], 'coco_lt') == dict(AP1=0.2)


def test_trainings_differ_by_config_inputs_and_seed_but_not_by_options(tmp_path):
    config = tmp_path / 'config.py'

    def make(epochs=1, seed=0, inputs='data', **kwargs):
        config.write_text(f'train_cfg = dict(max_epochs={epochs})\n')
        return steps.make_train_step('x', config, tmp_path, seed, inputs, **kwargs)

    digests = [make().digest, make(epochs=2).digest, make(inputs='other').digest,
               make(seed=1).digest]
    assert len(set(digests)) == 4
    same = make(options=['a=1'])
    assert same.digest == digests[0] and same.command[-2:] == ['--cfg-options', 'a=1']
    assert make(epochs=3).output == tmp_path / 'epoch_3.pth'


def test_a_test_belongs_to_its_training(tmp_path):
    trained = Step('t', [], 'digest', tmp_path / 'run/epoch_2.pth')
    test = steps.make_test_step('test', tmp_path / 'c.py', trained)
    assert test.output == tmp_path / 'run/test/metrics.json'
    other = steps.make_test_step('test', tmp_path / 'c.py', Step('t', [], 'd', trained.output))
    assert test.digest != other.digest


def test_several_processes_are_started_by_the_shell_scripts(tmp_path):
    config = tmp_path / 'config.py'
    config.write_text('train_cfg = dict(max_epochs=1)\n')
    train = steps.make_train_step('x', config, tmp_path, 0, '', processes=2, arguments=['--amp'])
    assert train.command[:5] == ['bash', 'tools/dist_train.sh', str(config), '2', '--work-dir']
    assert '--amp' in train.command
    test = steps.make_test_step('x', config, train, processes=2, folder=tmp_path / 'a', inputs='b')
    assert test.command[:5] == ['bash', 'tools/dist_test.sh', str(config), str(train.output), '2']
    assert test.output == tmp_path / 'a/test/metrics.json'
    assert test.digest != steps.make_test_step('x', config, train).digest


def test_environment_of_a_step_reaches_its_process(tmp_path, lines, monkeypatch):
    code = 'import os; print("shown", os.environ["OMP_NUM_THREADS"], os.environ["HOME_OF_ALL"])'
    step = Step('x', [sys.executable, '-c', code], 'd', tmp_path, shorten=shorten,
                env=dict(OMP_NUM_THREADS='7'))
    monkeypatch.setenv('HOME_OF_ALL', 'kept')
    run_once(step, State(tmp_path / 's.json'), tmp_path, lines.append)
    assert any('shown 7 kept' in line for line in lines)


def test_shown_command_is_short_in_the_folder_of_its_program_and_has_the_search_path(
        tmp_path, monkeypatch):
    command = [str(tmp_path / '.venv/bin/python'), 'tools/x.py', 'a b']
    monkeypatch.setenv('PYTHONPATH', 'overlay')
    monkeypatch.chdir(tmp_path)
    assert steps.shown_command(command) == "PYTHONPATH=overlay .venv/bin/python tools/x.py 'a b'"
    (tmp_path / 'other').mkdir()
    monkeypatch.chdir('other')
    assert steps.shown_command(command) == f"PYTHONPATH=overlay {command[0]} tools/x.py 'a b'"
