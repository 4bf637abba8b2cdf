import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
METHODS = [dict(name='SCE', idea='plain', plain='SCE', calibrators=['NorCal'], paper='SCE'),
           dict(name='RFS', idea='sampling', plain='SCE', calibrators=['NorCal'], paper='RFS'),
           dict(name='EQL', idea='loss', plain='SCE', paper='EQL')]
# Row: AP, APr, number of seeds, gain of AP over the baseline and its interval.
ROWS = {'SCE': (30, 5, 3, None), 'SCE + NorCal': (34, 15, 3, (4, 3, 5)),
        'RFS': (33, 12, 1, (3, 2, 4)), 'RFS + NorCal': (35, 14, 3, (5, -1, 9)),
        'EQL': (29, 8, 3, (-1, -2, -0.5))}


@pytest.fixture
def tables(monkeypatch, tmp_path):
    """The module, in a folder with a comparison of three methods."""
    monkeypatch.syspath_prepend(ROOT / 'tools/benchmarks')
    monkeypatch.delitem(sys.modules, 'comparison_tables', raising=False)
    folder = tmp_path / 'configs/comparison/stage2'
    folder.mkdir(parents=True)
    (folder / 'methods.yml').write_text(yaml.safe_dump(dict(
        learning_rates=[1], calibrators={'NorCal': {'gamma': [1]}}, baseline='SCE',
        reference='EQL', methods=[{**method, 'config': method['name'].lower()}
                                  for method in METHODS])))
    pd.DataFrame([row(name, *values) for name, values in ROWS.items()]).to_csv(
        folder / 'comparison.csv', index=False)
    monkeypatch.chdir(tmp_path)
    import comparison_tables
    return comparison_tables


def row(name, ap, apr, seeds, gain):
    method, _, calibrator = name.partition(' + ')
    values = {'APr': apr, 'fixed_APr': apr, 'state_mb': 1, 'cpu_seconds': 9, 'peak_mb': 700}
    for key in ('AP', 'APc', 'APf', 'fixed_AP', 'exhaustive_AP', 'calibration_error'):
        values[key] = ap
    values |= {f'{key}_std': None for key in values}
    for key in ('AP_over_baseline', 'APr_over_baseline', 'AP_over_reference'):
        values |= dict(zip((key, f'{key}_low', f'{key}_high'), gain or [None] * 3, strict=True))
    idea = next(m['idea'] for m in METHODS if m['name'] == method)
    return dict(row=name, method=method, config=method.lower(), calibrator=calibrator, idea=idea,
                plain='SCE', seeds=seeds, error='', **values)


def cells(line):
    return [cell.strip() for cell in line.strip('| ').split(' | ')]


def test_gains_are_bold_where_they_are_above_the_noise_of_several_seeds(tables):
    text = tables.format_comparison(tables.STAGE2, [dict(table='XIII', rows=[
        dict(row=f'LVIS v1, R50, {name}', paper=[ap, ap / 2, 1, 1])
        for name, ap in (('SCE', 20), ('RFS', 25), ('EQL', 19))])], lambda config, name: name)
    head, _, *lines = map(cells, text.partition('\n\n')[0].splitlines())
    gain = head.index('AP over SCE')
    shown = {line[0]: line[gain] for line in lines}
    assert shown == {'SCE': '–', 'SCE + NorCal': '**+4.0** (+3.0 to +5.0)',
                     'RFS': '**+3.0** (+2.0 to +4.0)', 'RFS + NorCal': '+5.0 (-1.0 to +9.0)',
                     'EQL': '**-1.0** (-2.0 to -0.5)'}
    assert {line[0]: line[-1] for line in lines}['RFS'] == '25 / 12.5'
    assert {line[0]: line[-1] for line in lines}['RFS + NorCal'] == '–'
    assert '| with LVIS v1, R50 | 1.00 (' in text
    assert {line[0]: line[head.index('peak MB')] for line in lines}['RFS'] == '700'
    one_seed = tables.read_rows(tables.STAGE2).assign(seeds=1)
    one_seed.to_csv(tables.STAGE2 / 'comparison.csv', index=False)
    assert '**' not in tables.format_comparison(tables.STAGE2, [], lambda config, name: name)


def test_a_column_that_nothing_fills_is_left_out(tables):
    tables.read_rows(tables.STAGE2).assign(peak_mb=None).to_csv(
        tables.STAGE2 / 'comparison.csv', index=False)
    content = yaml.safe_load((tables.STAGE2 / 'methods.yml').read_text())
    for method in content['methods']:
        method.pop('paper', None)
    (tables.STAGE2 / 'methods.yml').write_text(yaml.safe_dump(content))
    lines = list(map(cells, tables.format_comparison(
        tables.STAGE2, [], lambda config, name: name).strip().splitlines()))
    assert 'peak MB' not in lines[0] and lines[0][-1] == 'seeds' and 'state MB' in lines[0]
    assert {len(line) for line in lines[2:]} == {len(lines[0])}


def test_ideas_gain_over_what_is_plain_of_the_same_kind(tables):
    lines = {line[0]: line for line in map(cells, tables.format_ideas(
        tables.STAGE2).splitlines())}
    assert lines['sampling'][2:4] == ['+3.0', '+7.0']
    assert lines['sampling, calibrated'][2:4] == ['+1.0', '-1.0']
    assert lines['plain, calibrated'][2:4] == ['+4.0', '+10.0']
    assert lines['loss'][2:4] == ['-1.0', '+3.0']


def test_the_short_table_has_the_plain_rows_and_the_best(tables):
    assert len(tables.format_short(tables.STAGE2).splitlines()) == 2 + 5
    rows = tables.read_rows(tables.STAGE2)
    rows[rows['row'] != 'RFS'].to_csv(tables.STAGE2 / 'comparison.csv', index=False)
    assert 'RFS + NorCal' in tables.format_short(tables.STAGE2)


def test_a_method_without_a_row_is_named(tables):
    path = Path('configs/comparison/stage2/comparison.csv')
    frame = pd.read_csv(path)
    frame[frame['method'] != 'EQL'].to_csv(path, index=False)
    with pytest.raises(ValueError, match=r"they differ in \[\('EQL', 'eql'\)\]"):
        tables.read_rows(tables.STAGE2)


def test_methods_that_are_best_at_an_edge_of_the_ladder_are_named(tables):
    rate = tables.RATE
    tried = [('SCE', 1, 30), ('SCE', 3, 31), ('SCE', 10, 29), ('RFS', 1, 30), ('RFS', 3, 28),
             ('RFS', 0.3, 32), ('EQL', 3, 20), ('EQL', 10, 21)]
    pd.DataFrame([{'method': method, 'settings': f'{rate}={value}', 'held-out AP': ap}
                  for method, value, ap in tried]).to_csv(tables.STAGE2 / 'trials.csv', index=False)
    text = tables.format_trials(tables.STAGE2)
    assert '| SCE | lr 1: 30.0; lr 3: 31.0; lr 10: 29.0 |' in text
    assert 'Best at the lowest learning rate of the ladder: RFS.' in text
    assert 'Best at the highest learning rate of the ladder: EQL.' in text
