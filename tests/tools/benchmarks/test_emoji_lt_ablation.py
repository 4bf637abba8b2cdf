import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from bacl.engine.running.seed_table import write_results
from bacl.engine.running.settings import parse_settings
from bacl.feature_bank.sweep import Row, describe
from bacl.feature_bank.sweep.run import load_config
from mmengine.config import Config

ROOT = Path(__file__).resolve().parents[3]
THR = 'model.roi_head.bbox_head.loss_cls.prob_thr'


@pytest.fixture
def ablation(load_tool, monkeypatch):
    monkeypatch.chdir(ROOT)
    return load_tool('benchmarks/emoji_lt_ablation.py')


def result(value, **groups):
    return {**dict(AP=value, APr=value / 2, APc=value, APf=value), **groups}


def test_tables_have_the_rows_of_the_paper(ablation):
    tables = {table['table']: len(table['rows']) for table in ablation.load_tables()}
    assert tables == {'III': 8, 'IV': 6, 'V': 5, 'VI': 3, 'VII': 5, 'VIII': 2, 'IX': 3, 'X': 2,
                      'Fig. 4': 6, 'XIII': 18}


def test_unknown_table_is_refused_with_the_known_ones(ablation):
    with pytest.raises(ValueError, match=r"--tables expects some of \['III', .*got 'XXX'"):
        ablation.load_tables(['X', 'XXX'])


def test_config_that_no_family_has_is_named(ablation):
    with pytest.raises(FileNotFoundError, match='faster-rcnn_x.py'):
        ablation.find_config('faster-rcnn_x')


def test_every_stage_2_is_run_once_and_the_baseline_first(ablation):
    rows = ablation.rows_of(ablation.load_tables())
    assert rows[0].name == ablation.BASELINE
    # Without those of a single stage, such as SCE for as long as both together.
    assert len({row.name for row in rows}) == len(rows) == 37
    assert all('stage2' in row.name for row in rows)
    short = [row.name.partition('mini_')[2] for row in ablation.rows_of(
        ablation.load_tables(['V']), {'train_cfg.max_epochs': 12})]
    assert short == ['stage2-bce', 'stage2-sce-norcal', f'stage2-bacl {THR}=0.9',
                     f'stage2-bacl {THR}=0.8', 'stage2-bacl', f'stage2-bacl {THR}=0.6',
                     f'stage2-bacl {THR}=0.5']


def test_optimizer_and_length_of_the_documented_command_are_settings(ablation):
    command = (ROOT / 'tools/README.md').read_text().partition('_sgd \\\n')[2].partition('```')[0]
    words = command.replace('\\', '').split()
    assert words[0] == '--cfg-options'
    rows = ablation.rows_of(ablation.load_tables(['X']), parse_settings(words[1:], 'x'))
    cfg = load_config(rows[0].config, rows[0].settings)
    assert cfg.optim_wrapper.optimizer == dict(
        type='SGD', lr=0.02, momentum=0.9, weight_decay=1e-4)
    assert cfg.train_cfg.max_epochs == cfg.param_scheduler[1].T_max == 12


def test_settings_change_what_a_row_is_about(ablation):
    rows = ablation.rows_of(ablation.load_tables())
    one_of_each_key = {key: row for row in rows for key in row.settings}
    assert len(one_of_each_key) == 11
    for row in one_of_each_key.values():
        plain = Config.fromfile(row.config).to_dict()
        assert load_config(row.config, row.settings).to_dict() != plain
    with pytest.raises(ValueError, match=f"settings that no row changes, got '{THR}', which 'p_t"):
        ablation.rows_of(ablation.load_tables(['V']), {THR: 0.1})


def test_table_shows_mean_spread_and_the_gain_of_paired_seeds(ablation):
    table = dict(table='III', title='t', rows=[
        dict(row='MG', emoji_lt='m', emoji_lt_settings={'b': None, 'a': 0.5}, paper=[1.0, 2.0])])
    results = {(ablation.BASELINE, 0): result(0.10), (ablation.BASELINE, 1): result(0.20),
               ('m a=0.5 b=None', 0): result(0.12, APf=None, fixed_AP=0.5, cpu_seconds=2,
                                             peak_mb=700),
               ('m a=0.5 b=None', 1): result(0.22, fixed_AP=0.5)}
    head, _, base, row = ablation.format_table(table, results).splitlines()[2:]
    assert head.startswith('| row | AP | APr | APc | APf | fixed AP | AP - BCE* | APr - BCE* |')
    assert base.startswith('| BCE*, the baseline | 15.0 ± 7.1 |')
    # The seeds differ by 10 points, but the gain is 2 in both.
    assert row == ('| MG | 17.0 ± 7.1 | 8.5 ± 3.5 | 17.0 ± 7.1 | n/a | 50.0 ± 0.0 | +2.0 ± 0.0 '
                   '| +1.0 ± 0.0 | 1.0 / 2.0 |')


def test_incomplete_rows_say_so_and_unmeasured_ones_are_left_out(ablation):
    table = dict(table='III', title='t', rows=[dict(row='MG', emoji_lt='m'),
                                               dict(row='WT', emoji_lt='w')])
    results = {(ablation.BASELINE, 0): result(0.1), (ablation.BASELINE, 1): result(0.2),
               ('m', 1): result(0.22), ('m', 7): result(0.9)}
    _, row = ablation.format_table(table, results).splitlines()[4:]
    assert row.startswith('| MG (seeds [1]) | 22.0 | 11.0 |') and '| +2.0 | +1.0 | – |' in row
    assert ablation.format_table(table, {}).count('|---') > 0


def test_every_table_has_the_references_once(ablation):
    results = {(row['emoji_lt'], 0): result(0.1) for row in ablation.REFERENCES}
    tables = ablation.load_tables(['XIII', 'IX'])
    assert ablation.format_report(tables, results).strip() == ''  # nothing to compare
    for row in (*tables[0]['rows'][:2], *tables[1]['rows'][:1]):
        results[ablation.twin_of(row), 0] = result(0.2)
    report = ablation.format_report(tables, results)
    assert report.count('| SCE with NorCal | 10.0 |') == len(tables)
    # In Table XIII it is a row of the paper.
    assert report.count('| BCE*, the baseline |') == 1 and '23.9 / 6.7 / 23.8 / 31.0' in report


def test_results_of_a_sweep_are_read_by_what_a_row_changes(ablation, tmp_path):
    path = tmp_path / 'results.csv'
    settings = {'b': {'k': None}, 'c': {'k': False}, 'd': {}}
    results = {(name, 0): result(value) for name, value in zip('bcd', (0.1, 0.2, 0.3), strict=True)}
    results['d', 1] = result(0.12345678, APr=None)
    rows = [Row(name, 'x/a.py', {**own, 'lr': 0.1}) for name, own in settings.items()]
    write_results(path, {row.name: describe(row) for row in rows}, results)
    read, shared = ablation.read_csv(path)
    assert shared == {'lr': '0.1'}
    assert read == {
        ('a k=None', 0): result(0.1), ('a k=False', 0): result(0.2), ('a', 0): result(0.3),
        ('a', 1): pytest.approx(result(0.1234, APr=None), abs=1e-4)}
    assert {ablation.row_name('a', own) for own in settings.values()} == {name for name, _ in read}


def test_tables_are_written_also_if_runs_are_lacking(ablation, monkeypatch, tmp_path, capsys):
    def run_rows(rows, args):
        assert args.feature_bank == 'bank' and args.seeds == [3]
        assert all(row.settings['optim_wrapper.optimizer.lr'] == 0.5 for row in rows)
        return SimpleNamespace(results={
            (ablation.BASELINE, 3): result(0.1), (rows[2].name, 3): result(0.2),
            (rows[3].name, 3): result(0.2)}), 'Interrupted.'

    monkeypatch.setattr(ablation, 'run_rows', run_rows)
    monkeypatch.setattr(sys, 'argv', ['x', '--feature-bank', 'bank', '--tables', 'III', '--seeds',
                                      '3', '--work-dir', str(tmp_path), '--cfg-options',
                                      'optim_wrapper.optimizer.lr=0.5'])
    with pytest.raises(SystemExit, match='Interrupted.'):
        ablation.main()
    text = (tmp_path / 'tables.md').read_text()
    assert '**Table III**' in text and '| 20.0 | 10.0 |' in text and text in capsys.readouterr().out
