import json
import os
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip('lvis')

PARENT = '''
import subprocess, sys
child = subprocess.Popen([sys.executable, '-c',
                          "data = b'x' * 80_000_000; print(flush=True); input()"],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)
child.stdout.readline()
print(flush=True)
input()
child.communicate(b'\\n')
'''


@pytest.fixture(scope='module')
def tool(load_tool):
    return load_tool('benchmarks/evaluation.py')


def test_memory_of_descendants_counts(tool):
    process = subprocess.Popen([sys.executable, '-c', PARENT], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE)
    process.stdout.readline()
    both = tool.resident_bytes(process.pid)
    process.communicate(b'\n')
    assert 80e6 < both < 200e6
    assert tool.resident_bytes(process.pid) == 0
    assert tool.resident_bytes(os.getpid()) <= tool.highest_bytes()


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


@pytest.mark.slow
def test_rows_have_names_values_and_targets(tool):
    rows = tool.measure(tool.parse_args(['--quick']))
    assert [list(row) for row in rows] == [['name', 'value', 'unit', 'target']] * len(rows)
    values = {row['name']: row['value'] for row in rows}
    assert len(values) == len(rows)
    assert values['largest difference of the nine APs'] <= 1e-9
    for row in rows:
        if row['unit'] != 'AP':
            assert row['value'] > 0
        if row['unit'] == 'GB':
            assert 0.03 < row['value'] < 4
    assert sum(row['target'] == '<= 4' for row in rows) == 3
    assert [row['unit'] for row in rows if row['target'] == '>= 3'] == ['x']
