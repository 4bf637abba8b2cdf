import json
import os
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[3] / 'tools/benchmarks'


@pytest.mark.slow
def test_both_sides_read_the_same_images(warm_python, smoke_data, tmp_path):
    (tmp_path / 'data/emoji_lt').mkdir(parents=True)
    (tmp_path / 'data/emoji_lt/smoke').symlink_to(smoke_data)
    (tmp_path / 'configs').symlink_to(BENCHMARKS.parents[1] / 'configs')
    done = warm_python.run(
        [BENCHMARKS / 'feature_bank.py', '--quick', '--json', 'rows.json'],
        env=dict(os.environ, OMP_NUM_THREADS='1', CUDA_VISIBLE_DEVICES='-1'), cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-3000:]
    rows = {row['name']: row for row in json.loads((tmp_path / 'rows.json').read_text())['rows']}
    ratio = rows['run of 2 epochs and a test, Emoji-LT smoke, online / bank']
    assert ratio['target'] == '>= 20' and ratio['value'] > 1
    large = [rows[f'{what}, bank, C = 1,203']['value'] / 1000
             for what in ('stage-2 iteration', 'predictions of a batch')]
    total = rows['run of 2 epochs and a test, bank, C = 1,203']['value']
    assert total == pytest.approx(1000 * large[0] + 200 * large[1])
