import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from bacl.engine.running.seed_table import write_results

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def ablation(load_tool, monkeypatch):
    monkeypatch.chdir(ROOT)
    return load_tool('benchmarks/emoji_lt_ablation.py')


def result(value, **groups):
    return {**dict(AP=value, APr=value / 2, APc=value, APf=value), **groups}


def test_tables_have_the_rows_of_the_paper(ablation):
    tables = {table['table']: len(table['rows']) for table in ablation.load_tables()}
    assert tables == {'III': 8, 'VIII': 2, 'IX': 3, 'X': 2, 'Fig. 4': 6, 'XIII': 17}


def test_unknown_table_is_refused_with_the_known_ones(ablation):
    with pytest.raises(ValueError, match=r"--tables expects some of \['III', .*got 'XXX'"):
        ablation.load_tables(['X', 'XXX'])


def test_config_that_no_family_has_is_named(ablation):
    with pytest.raises(FileNotFoundError, match='faster-rcnn_x.py'):
        ablation.find_config('faster-rcnn_x')


def test_every_stage_2_is_run_once_and_the_baseline_first(ablation):
    rows = ablation.rows_of(ablation.load_tables())
    assert rows[0].name == ablation.BASELINE
    # Without those of a single stage, such as SCE.
    assert len({row.name for row in rows}) == len(rows) == 21
    assert all(Path(row.config).stem == row.name and 'stage2' in row.name for row in rows)
    assert [row.name.rpartition('_')[2] for row in ablation.rows_of(ablation.load_tables(
        ['X']))] == ['stage2-bce', 'stage2-bacl']


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


def test_results_of_a_sweep_are_read(ablation, tmp_path):
    path = tmp_path / 'results.csv'
    results = {('b', 1): result(0.5), ('a', 0): result(0.12345678, APr=None)}
    write_results(path, {name: dict(config=name) for name in 'ab'}, results)
    assert ablation.read_csv(path) == {
        ('b', 1): result(0.5), ('a', 0): pytest.approx(result(0.1234, APr=None), abs=1e-4)}


def test_tables_are_written_also_if_runs_are_lacking(ablation, monkeypatch, tmp_path, capsys):
    def run_rows(rows, args):
        assert args.feature_bank == 'bank' and args.seeds == [3]
        return SimpleNamespace(results={(ablation.BASELINE, 3): result(0.1),
                                        (rows[1].name, 3): result(0.2)}), 'Interrupted.'

    monkeypatch.setattr(ablation, 'run_rows', run_rows)
    monkeypatch.setattr(sys, 'argv', ['x', '--feature-bank', 'bank', '--tables', 'III', '--seeds',
                                      '3', '--work-dir', str(tmp_path)])
    with pytest.raises(SystemExit, match='Interrupted.'):
        ablation.main()
    text = (tmp_path / 'tables.md').read_text()
    assert '**Table III**' in text and '| 20.0 | 10.0 |' in text and text in capsys.readouterr().out
