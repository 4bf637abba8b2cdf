import importlib.util
import json
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[2] / 'tools/analysis_tools/summarize_seeds.py'


@pytest.fixture
def tool():
    spec = importlib.util.spec_from_file_location('summarize_seeds', TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write(folder, seed, ap, preset='mini'):
    rows = {row: dict.fromkeys(('AP', 'APr', 'APc', 'APf'), ap)
            for row in ('stage 1', 'baseline', 'BACL', 'gain')}
    path = folder / f'{seed}.json'
    path.write_text(json.dumps(dict(preset=preset, mm='official', seed=seed, **rows)))
    return path


def test_mean_and_sample_deviation_in_percent(tool, tmp_path):
    # 10, 20 and 30: mean 20, deviation sqrt((100 + 0 + 100) / 2) = 10.
    paths = [write(tmp_path, seed, ap) for seed, ap in ((2, 0.3), (0, 0.1), (1, 0.2))]
    lines = tool.summarize(paths).splitlines()
    assert lines[0] == '| seeds 0, 1, 2 | AP | APr | APc | APf |'
    assert lines[2].startswith('| stage 1 | 20.0 ± 10.0 (10.0, 20.0, 30.0) |') and len(lines) == 6


def test_results_that_cannot_be_pooled_are_refused(tool, tmp_path):
    with pytest.raises(ValueError, match='expects two or more'):
        tool.summarize([write(tmp_path, 0, 0.1)])
    with pytest.raises(ValueError, match='of one preset'):
        tool.summarize([write(tmp_path, 0, 0.1), write(tmp_path, 1, 0.1, preset='smoke')])
