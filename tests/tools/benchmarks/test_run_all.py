import json

import pytest


@pytest.fixture(scope='module')
def tool(load_tool):
    return load_tool('benchmarks/run_all.py')


def test_every_benchmark_is_there(tool):
    assert all((tool.FOLDER / f'{name}.py').is_file() for name in tool.BENCHMARKS)
    others = {'reporting', 'run_all', 'write_index', 'emoji_lt_ablation', 'compare_methods',
              'comparison_tables'}
    assert {path.stem for path in tool.FOLDER.glob('*.py')} - others == set(tool.BENCHMARKS)


def test_a_real_benchmark_ends_in_the_table(tool, tmp_path):
    tool.main(['--only', 'classifier_step', '--quick', '--out', str(tmp_path / 'new/table.md')])
    table = (tmp_path / 'new/table.md').read_text()
    assert '## classifier_step' in table and 'torch ' in table
    assert '| classifier step, C = 50, BACL / plain BCE |' in table


@pytest.mark.parametrize('value', [1.0, 3.0])
def test_missed_targets_are_named_and_in_the_exit_status(tool, value, tmp_path, monkeypatch,
                                                         capsys):
    monkeypatch.setattr(tool, 'run_benchmark', lambda name, quick: dict(
        environment='here', rows=[dict(name=f'{name} x', value=value, unit='s', target='<= 2')]))
    arguments = ['--only', 'nms', 'inference', '--out', str(tmp_path / 'table.md')]
    if value > 2:
        with pytest.raises(SystemExit, match='1'):
            tool.main(arguments)
        assert 'missed: nms x, inference x.' in capsys.readouterr().out
    else:
        tool.main(arguments)
        assert 'missed: none.' in capsys.readouterr().out
    assert (tmp_path / 'table.md').read_text().count('## ') == 2


def test_tables_of_finished_benchmarks_survive_a_failure(tool, tmp_path, monkeypatch):
    def run_benchmark(name, quick):
        if name == 'inference':
            raise RuntimeError('no weights')
        return json.loads('{"environment": "here", "rows": []}')

    monkeypatch.setattr(tool, 'run_benchmark', run_benchmark)
    with pytest.raises(RuntimeError, match='no weights'):
        tool.main(['--only', 'nms', 'inference', '--out', str(tmp_path / 'table.md')])
    assert '## nms' in (tmp_path / 'table.md').read_text()
