import csv

import pytest
from bacl.engine.running.seed_table import (
    differences,
    format_table,
    spread,
    write_results,
    write_summary,
)


def result(ap, **others):
    return dict(AP=ap, APr=ap / 2, exhaustive_AP=ap, cpu_seconds=100 * ap, peak_mb=2000 * ap,
                AP50=0.9) | others


@pytest.fixture
def results():
    """Seeds differ by 10 points, 'b' is 2 better than 'a' in both; 'c' lacks one."""
    return {('a', 0): result(0.10), ('a', 1): result(0.20), ('b', 1): result(0.22),
            ('b', 0): result(0.12, APr=None), ('c', 1): result(0.19), ('c', 7): result(0.5)}


def test_spread_is_in_percent():
    assert spread([0.1, 0.2]) == '15.0 ± 7.1'
    assert spread([0.123], sign='+') == '+12.3'
    assert spread([3, 5], scale=1) == '4.0 ± 1.4'
    assert spread([0.1, None]) == 'n/a' and spread([]) == '–'


def test_differences_are_those_of_a_seed(results):
    assert differences('b', 'a', 'AP', results) == pytest.approx([0.02, 0.02])
    assert differences('c', 'a', 'AP', results) == pytest.approx([-0.01])
    assert differences('b', 'a', 'APr', results)[0] is None
    assert differences('none', 'a', 'AP', results) == []


def test_table_shows_means_and_differences_to_the_first_row(results):
    del results['c', 7]
    lines = format_table(['a', 'b', 'c', 'none'], results).splitlines()
    cells = [[cell.strip() for cell in line.split('|')[1:-1]] for line in lines]
    assert cells[0] == ['row', 'AP', 'APr', 'exhaustive AP', 'CPU s', 'peak MB']
    assert cells[2:5] == [['a', '15.0 ± 7.1', '7.5 ± 3.5', '15.0 ± 7.1', '15.0 ± 7.1',
                           '300.0 ± 141.4'],
                          ['b', '17.0 ± 7.1', 'n/a', '17.0 ± 7.1', '17.0 ± 7.1',
                           '340.0 ± 141.4'],
                          ['c (seeds [1])', '19.0', '9.5', '19.0', '19.0', '380.0']]
    assert cells[5] == ['none (seeds [])', *['–'] * 5]
    assert lines[7] == 'Difference to a, seed by seed:'
    assert cells[9] == ['row', 'AP', 'APr', 'exhaustive AP']
    assert cells[11:] == [['b', '+2.0 ± 0.0', 'n/a', '+2.0 ± 0.0'],
                          ['c (seeds [1])', '-1.0', '-0.5', '-1.0'],
                          ['none (seeds [])', '–', '–', '–']]
    assert len({len(line) for line in lines[:6]}) == 1


def test_files_have_a_line_per_run_and_per_row(results, tmp_path):
    rows = {'a': {'config': 'x'}, 'b': {'config': 'x', 'lr': 0.1}, 'none': {'config': 'y'}}
    write_results(tmp_path / 'results.csv', rows, results)
    lines = list(csv.DictReader((tmp_path / 'results.csv').open()))
    assert list(lines[0]) == ['config', 'lr', 'seed', 'AP', 'APr', 'exhaustive_AP', 'cpu_seconds',
                              'peak_mb']
    assert [(line['lr'], line['seed'], line['AP'], line['APr']) for line in lines] == [
        ('', '0', '10.0000', '5.0000'), ('', '1', '20.0000', '10.0000'),
        ('0.1', '0', '12.0000', ''), ('0.1', '1', '22.0000', '11.0000')]
    assert lines[0]['cpu_seconds'] == '10.00' and lines[0]['peak_mb'] == '200.00'
    write_summary(tmp_path / 'summary.csv', rows, results)
    lines = list(csv.DictReader((tmp_path / 'summary.csv').open()))
    assert [line['seeds'] for line in lines] == ['2', '2', '0']
    assert lines[1]['AP'] == '17.0000' and lines[1]['AP_std'] == '7.0711'
    assert float(lines[1]['AP_difference']) == pytest.approx(2)
    assert float(lines[1]['AP_difference_std']) == pytest.approx(0, abs=1e-4)
    assert lines[1]['APr'] == lines[2]['AP'] == ''
