import shutil
import subprocess
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[2] / 'tools'


@pytest.fixture(scope='module')
def quickstart(load_tool):
    return load_tool('quickstart.py')


def test_table_shows_percent_and_the_gain_of_unrounded_values(quickstart):
    table = quickstart.format_table({
        'stage 1': dict(AP=0.187, APr=None, APc=0.214, APf=0.434, exhaustive_AP=0.1),
        'baseline': dict(AP=0.22549, APr=0.08, APc=None, APf=0.444, exhaustive_AP=0.2),
        'BACL': dict(AP=0.23051, APr=0.103, APc=0.238, APf=0.44, exhaustive_AP=0.2104),
    })
    rows = [[cell.strip() for cell in line.split('|')[1:-1]] for line in table.splitlines()]
    assert rows[0] == ['', 'AP', 'APr', 'APc', 'APf', 'all labels']
    assert rows[2:] == [
        ['stage 1', '18.7', 'n/a', '21.4', '43.4', '10.0'],
        ['baseline', '22.5', '8.0', 'n/a', '44.4', '20.0'],
        ['BACL', '23.1', '10.3', '23.8', '44.0', '21.0'],
        ['BACL - baseline', '+0.5', '+2.3', 'n/a', '-0.4', '+1.0'],
    ]
    assert len({len(line) for line in table.splitlines()}) == 1


def test_results_of_seeds_presets_and_stacks_are_kept_apart(quickstart):
    folders = {str(quickstart.parse_args(argv).work_dir)
               for argv in ([], ['--seed', '1'], ['--preset', 'smoke'], ['--mm', 'onedl'])}
    assert len(folders) == 4


def test_report_compares_with_the_baseline_and_is_written_once(quickstart, tmp_path, monkeypatch):
    steps = []

    def run_step(step, *_):
        steps.append(step)
        step.output.parent.mkdir(parents=True)
        step.output.touch()

    monkeypatch.setattr('bacl.engine.running.steps.run_step', run_step)
    runs = {name: Path(name.replace(' ', '-')) for name in quickstart.RUNS}
    for _ in range(2):
        state = quickstart.State(tmp_path / 'state.json')
        page = quickstart.write_report(runs, tmp_path / 'report', state, 'digest', tmp_path)
    assert page == tmp_path / 'report/index.html'
    step, = steps
    assert step.command[1:] == [
        'tools/analysis_tools/report.py', 'baseline=baseline', 'stage 1=stage-1', 'BACL=BACL',
        '--out', str(tmp_path / 'report')]


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
