import csv
import json
import os
import sys
from pathlib import Path

import pytest
from bacl.engine.running.steps import Step, StepFailedError

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def ablation(load_tool, monkeypatch):
    monkeypatch.chdir(ROOT)
    return load_tool('benchmarks/emoji_lt_ablation.py')


def result(value, **groups):
    return {**dict(AP=value, APr=value / 2, APc=value, APf=value), **groups}


@pytest.fixture
def fake_steps(ablation, monkeypatch, tmp_path):
    """Steps that take the place of training and testing; returns the lines that they wrote."""
    journal = tmp_path / 'journal'
    journal.touch()

    def make(name, output, text, digest, env):
        code = (f'import pathlib; p = pathlib.Path({str(output)!r}); '
                'p.parent.mkdir(parents=True, exist_ok=True); '
                f'p.write_text({text!r}); open({str(journal)!r}, "a").write({name!r} + "\\n")')
        return Step(name, [sys.executable, '-c', code], digest, Path(output), env=env)

    def make_train_step(name, config, work_dir, seed, inputs, env):
        return make(name, work_dir / 'epoch_1.pth', '', f'{config} {seed} {inputs}', env)

    def make_test_step(name, config, trained, env):
        metrics = {f'lvis/bbox_exhaustive_{m}': 0.5 for m in ('AP', 'APr', 'APc', 'APf')}
        return make(name, trained.output.parent / 'test/metrics.json', json.dumps(metrics),
                    'test ' + trained.digest, env)

    monkeypatch.setattr(ablation, 'make_train_step', make_train_step)
    monkeypatch.setattr(ablation, 'make_test_step', make_test_step)
    return lambda: journal.read_text().splitlines()


def test_tables_have_the_rows_of_the_paper(ablation):
    tables = {table['table']: len(table['rows']) for table in ablation.load_tables()}
    assert tables == {'III': 8, 'VIII': 2, 'IX': 3, 'X': 2, 'Fig. 4': 6}


def test_unknown_table_is_refused_with_the_known_ones(ablation):
    with pytest.raises(ValueError, match=r"--tables expects some of \['III', .*got 'XXX'"):
        ablation.load_tables(['X', 'XXX'])


def test_config_that_no_family_has_is_named(ablation):
    with pytest.raises(FileNotFoundError, match='faster-rcnn_x.py'):
        ablation.find_config('faster-rcnn_x')


def test_every_config_is_run_once_and_the_baseline_always(ablation):
    names = ablation.configs_of(ablation.load_tables())
    assert names[0] == ablation.BASELINE
    assert len(names) == len(set(names)) == 18
    assert [ablation.find_config(name).stem for name in names] == names
    assert ablation.BASELINE in ablation.configs_of(ablation.load_tables(['X']))


def test_seeds_share_no_stage_1_and_configs_do(ablation, fake_steps, tmp_path):
    names = ablation.configs_of(ablation.load_tables(['X', 'VIII']))
    advanced, lines = [], []
    benchmark = ablation.Benchmark(tmp_path / 'runs', 2, 'data', lines.append)
    results = benchmark.run(names, [0, 1], lambda: advanced.append(1))
    trained = [line for line in fake_steps() if line.startswith('train')]
    assert [line.rsplit('_', 1)[1] for line in sorted(trained[:2])] == [
        'stage1 seed 0', 'stage1 seed 1']
    assert len(trained) == len(set(trained)) == len(advanced) == 2 * (1 + len(names))
    assert {name for name, _ in results} == set(names) | {
        'faster-rcnn_effnet-lite0_emoji-lt-mini_stage1'}
    assert all(value == dict(AP=0.5, APr=0.5, APc=0.5, APf=0.5) for value in results.values())


def test_second_run_does_only_what_is_missing(ablation, fake_steps, tmp_path):
    names = ablation.configs_of(ablation.load_tables(['VIII']))

    def run(inputs='data'):
        before = len(fake_steps())
        ablation.Benchmark(tmp_path / 'runs', 1, inputs, print).run(names, [0], lambda: None)
        return fake_steps()[before:]

    assert len(run()) == 2 * (1 + len(names))
    assert run() == []
    metrics = tmp_path / 'runs/seed-0' / names[-1] / 'test/metrics.json'
    metrics.unlink()
    assert run() == [f'test {names[-1]} seed 0']
    assert len(run('other data')) == 2 * (1 + len(names))


def test_failing_run_ends_the_benchmark_and_keeps_what_is_finished(
        ablation, fake_steps, tmp_path, monkeypatch):
    names = ablation.configs_of(ablation.load_tables(['VIII']))
    make_train_step = ablation.make_train_step

    def failing(name, *args, **kwargs):
        step = make_train_step(name, *args, **kwargs)
        return step if names[1] not in name else Step(
            name, [sys.executable, '-c', 'raise SystemExit("broken")'], 'd', step.output)

    monkeypatch.setattr(ablation, 'make_train_step', failing)
    benchmark = ablation.Benchmark(tmp_path / 'runs', 1, 'data', print)
    with pytest.raises(StepFailedError, match='broken'):
        benchmark.run(names, [0], lambda: None)
    assert (tmp_path / 'runs/seed-0' / names[0] / 'test/metrics.json').is_file()


def test_table_shows_mean_spread_and_the_gain_of_paired_seeds(ablation):
    table = dict(table='III', title='t', rows=[dict(row='MG', emoji_lt='m', paper=[1.0, 2.0])])
    results = {(ablation.BASELINE, 0): result(0.10), (ablation.BASELINE, 1): result(0.20),
               ('m', 0): result(0.12, APf=None), ('m', 1): result(0.22)}
    row = ablation.format_table(table, results).splitlines()[-1]
    # The seeds differ by 10 points, but the gain is 2 in both.
    assert row == ('| MG | 17.0 ± 7.1 | 8.5 ± 3.5 | 17.0 ± 7.1 | n/a | +2.0 ± 0.0 | +1.0 ± 0.0 '
                   '| 1.0 / 2.0 |')


def test_incomplete_rows_say_so_and_unmeasured_ones_are_left_out(ablation):
    table = dict(table='III', title='t', rows=[dict(row='MG', emoji_lt='m'),
                                               dict(row='WT', emoji_lt='w')])
    results = {(ablation.BASELINE, 0): result(0.1), (ablation.BASELINE, 1): result(0.2),
               ('m', 1): result(0.22), ('m', 7): result(0.9)}
    (row,) = ablation.format_table(table, results).splitlines()[4:]
    assert row.startswith('| MG (seeds [1]) | 22.0 | 11.0 |') and '| +2.0 | +1.0 | – |' in row
    assert ablation.format_table(table, {}).count('|---') > 0


def test_report_begins_with_the_baseline_and_its_numbers_of_the_paper(ablation):
    text = ablation.format_report([], {(ablation.BASELINE, 0): result(0.1)})
    assert '| 10.0 | 5.0 | 10.0 | 10.0 | +0.0 | +0.0 | 23.9 / 6.7 / 23.8 / 31.0 |' in text


def test_csv_has_one_line_per_run(ablation, tmp_path):
    path = tmp_path / 'results.csv'
    ablation.write_csv(path, {('b', 1): result(0.5), ('a', 0): result(0.12345678, APr=None)})
    rows = list(csv.DictReader(path.open()))
    assert rows[0] == dict(config='a', seed='0', AP='12.3457', APr='', APc='12.3457',
                           APf='12.3457')
    assert [(row['config'], row['seed']) for row in rows] == [('a', '0'), ('b', '1')]
    assert ablation.read_csv(path)['b', 1] == result(0.5)
    assert ablation.read_csv(path)['a', 0]['APr'] is None
    assert ablation.read_csv(tmp_path / 'none.csv') == {}


def test_number_of_jobs_is_checked(ablation, capsys):
    with pytest.raises(SystemExit):
        ablation.parse_args(['--jobs', '0'])
    assert '--jobs expects a number from 1 on, got 0' in capsys.readouterr().err
    assert ablation.parse_args([]).jobs == os.cpu_count()
