import json

import numpy as np
import pytest

pytest.importorskip('lvis')


@pytest.fixture(scope='module')
def tool(load_tool):
    return load_tool('benchmarks/evaluation.py')


def test_highest_memory_stays_after_it_was_given_back(tool):
    data = b'x' * 300_000_000
    del data
    assert tool.highest_bytes() > 300e6


def test_generated_data_are_as_large_as_asked_for(tool, tmp_path):
    args = tool.parse_args(['--categories', '50', '--detections', '30'])
    tool.generate(tmp_path / 'data', 20, args)
    gt = json.loads((tmp_path / 'data/gt.json').read_text())
    dt = json.loads((tmp_path / 'data/dt.json').read_text())
    assert [len(gt[key]) for key in ('images', 'annotations', 'categories')] == [20, 240, 50]
    assert {category['frequency'] for category in gt['categories']} == {'r', 'c', 'f'}
    assert np.bincount([record['image_id'] for record in dt]).tolist() == [0, *[30] * 20]
    assert {record['category_id'] for record in dt} <= set(range(1, 51))


def test_failing_run_is_quoted(tool, tmp_path):
    with pytest.raises(RuntimeError, match=r'(?s)lvis-api on .* failed .*gt\.json'):
        tool.run_measured(tmp_path, 'lvis-api')


def test_run_measures_itself(tool, tmp_path):
    args = tool.parse_args(['--categories', '20', '--detections', '20'])
    tool.generate(tmp_path / 'data', 10, args)
    found = tool.run_measured(tmp_path / 'data', 'lvis-api')
    seconds, metrics = tool.evaluate(tmp_path / 'data', 'lvis-api')
    assert found['metrics'] == pytest.approx(metrics, nan_ok=True) and seconds > 0
    assert found['seconds'] > 0 and 0.03e9 < found['bytes'] < 4e9


def test_rows_have_names_values_and_targets(tool, monkeypatch):
    # In this process: others would import for longer than they evaluate.
    monkeypatch.setattr(tool, 'run_measured', lambda folder, how: dict(
        zip(('seconds', 'metrics'), tool.evaluate(folder, how), strict=True),
        bytes=tool.highest_bytes()))
    rows = tool.measure(tool.parse_args(['--quick']))
    assert [list(row) for row in rows] == [['name', 'value', 'unit', 'target']] * len(rows)
    values = {row['name']: row['value'] for row in rows}
    assert len(values) == len(rows)
    assert values['largest difference of the nine APs'] <= 1e-9
    for row in rows:
        if row['unit'] != 'AP':
            assert row['value'] > 0
    assert sum(row['target'] == '<= 4' for row in rows) == 2
    assert [row['unit'] for row in rows if row['target'] == '>= 3'] == ['x']
