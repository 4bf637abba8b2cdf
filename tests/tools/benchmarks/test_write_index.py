import csv
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
TWIN = 'faster-rcnn_effnet-lite0_emoji-lt-mini_stage2-bacl-margin'


@pytest.fixture
def write_index(warm_python):
    """Run the tool of a project."""
    return lambda root, *arguments: warm_python.run(
        ['tools/benchmarks/write_index.py', *arguments], cwd=root)


@pytest.fixture
def copy(tmp_path):
    """A copy of what the tool reads and writes."""
    shutil.copytree(ROOT / 'configs', tmp_path / 'configs')
    shutil.copytree(ROOT / 'tools', tmp_path / 'tools')
    return tmp_path


def test_index_and_metafile_are_up_to_date():
    done = subprocess.run([sys.executable, 'tools/benchmarks/write_index.py', '--check'],
                          cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_changed_number_of_the_paper_is_noticed_and_written(copy, write_index):
    tables = copy / 'configs/bacl/tables.yml'
    tables.write_text(
        tables.read_text().replace('[24.3, 8.7, 24.7, 30.1]', '[77.7, 8.7, 1.0, 2.0]'))
    done = write_index(copy, '--check')
    assert done.returncode == 1 and 'Out of date: configs/bacl/README.md' in done.stdout
    assert write_index(copy).returncode == 0
    assert '| 77.7 / 8.7 / 1.0 / 2.0 |' in (copy / 'configs/bacl/README.md').read_text()
    assert write_index(copy, '--check').returncode == 0


def test_measured_results_reach_readme_and_metafile(copy, write_index):
    path = copy / 'configs/bacl/emoji_lt_ablation.csv'
    rows = list(csv.DictReader(path.open()))
    for row in rows:
        if row['config'] == TWIN:
            row.update(AP='50.0', APr='')
    with path.open('w', newline='') as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    assert write_index(copy).returncode == 0
    assert '[50.0 / n/a / ' in (copy / 'configs/bacl/README.md').read_text()
    models = yaml.safe_load((copy / 'configs/bacl/metafile.yml').read_text())['Models']
    (model,) = [model for model in models if model['Name'] == TWIN]
    metrics = model['Results'][0]['Metrics']
    assert metrics['box AP'] == 50.0 and 'box APr' not in metrics


def test_metafile_claims_nothing_of_what_was_not_measured():
    metafile = yaml.safe_load((ROOT / 'configs/bacl/metafile.yml').read_text())
    (collection,) = metafile['Collections']
    assert all(model['In Collection'] == collection['Name'] for model in metafile['Models'])
    configs = {model['Config'] for model in metafile['Models']}
    assert configs == {str(p.relative_to(ROOT)) for p in (ROOT / 'configs/bacl').glob('*.py')}
    with (ROOT / 'configs/bacl/emoji_lt_ablation.csv').open() as file:
        measured = {row['config'] for row in csv.DictReader(file)}
    assert {model['Name'] for model in metafile['Models'] if 'Results' in model} == measured
