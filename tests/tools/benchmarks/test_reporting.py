import json

import pytest


@pytest.fixture(scope='module')
def tool(load_tool):
    return load_tool('benchmarks/reporting.py')


def test_functions_are_timed_in_turn_after_a_first_call(tool):
    calls = []
    seconds = tool.time_in_turn({name: lambda name=name: calls.append(name) for name in 'ab'}, 3)
    assert [len(times) for times in seconds.values()] == [3, 3]
    assert all(time >= 0 for times in seconds.values() for time in times)
    assert calls == ['a', 'b'] * (1 + 3)


def test_ratio_is_the_median_of_the_rounds_and_speed_its_inverse(tool):
    seconds = dict(ours=[2.0, 4.0, 30.0], theirs=[1.0, 1.0, 10.0])
    theirs, ours, ratio = tool.compare('x', seconds, 'ours', 'theirs', '<= 2.5')
    assert (theirs['value'], ours['value'], ratio['value']) == (1000, 4000, 3)
    assert ratio['target'] == '<= 2.5' and not tool.is_met(3, '<= 2.5')
    speed = tool.compare('x', seconds, 'ours', 'theirs', '>= 0.3', speed=True)[-1]
    assert speed['value'] == pytest.approx(1 / 3) and tool.is_met(speed['value'], '>= 0.3')


def test_table_says_which_targets_were_missed(tool):
    table = tool.format_table([tool.row('a', 1.0, 's'), tool.row('b', 2.0, 's', '<= 1'),
                               tool.row('c', 0.5, 's', '<= 1')])
    assert table.splitlines()[2:] == ['| a | 1 s |  |', '| b | 2 s | <= 1, **missed** |',
                                      '| c | 0.5 s | <= 1, met |']


def test_run_prints_and_writes_rows_and_environment(tool, tmp_path, capsys):
    parser = tool.argparse.ArgumentParser()
    tool.add_arguments(parser)
    args = parser.parse_args(['--json', str(tmp_path / 'rows.json'), '--threads', '1'])
    tool.run(args, lambda args: [tool.row('a', 1.0, 's')])
    written = json.loads((tmp_path / 'rows.json').read_text())
    assert written['rows'] == [dict(name='a', value=1.0, unit='s', target=None)]
    assert 'torch ' in written['environment'] and '| a | 1 s |' in capsys.readouterr().out
