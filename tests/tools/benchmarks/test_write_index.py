import csv
import re
import shutil
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
BACL = 'faster-rcnn_effnet-lite0_emoji-lt-mini_stage2-bacl'
WITH_MARGIN = 'model.roi_head.bbox_head.loss_cls.with_margin'


@pytest.fixture
def main(load_tool):
    return load_tool('benchmarks/write_index.py').main


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """A copy of what the tool reads and writes, as current folder."""
    shutil.copytree(ROOT / 'configs', tmp_path / 'configs')
    for name in ('model-index.yml', 'README.md'):
        shutil.copy(ROOT / name, tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_generated_files_are_up_to_date(main, monkeypatch):
    monkeypatch.chdir(ROOT)
    main(['--check'])


def test_changed_number_of_the_paper_is_noticed_and_written(main, copy):
    tables = copy / 'configs/tables.yml'
    tables.write_text(
        tables.read_text().replace('[24.3, 8.7, 24.7, 30.1]', '[77.7, 8.7, 1.0, 2.0]'))
    stale = re.escape(
        'configs/README.md, configs/bacl/emoji-lt-mini.md. Run: python tools/benchmarks')
    with pytest.raises(SystemExit, match=stale):
        main(['--check'])
    main([])
    assert '| 77.7 / 8.7 / 1.0 / 2.0 |' in (copy / 'configs/README.md').read_text()
    main(['--check'])


def write(path, rows):
    with path.open('w', newline='') as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def test_measured_results_reach_readmes_and_metafile(main, copy):
    path = copy / 'configs/emoji_lt_ablation.csv'
    rows = list(csv.DictReader(path.open()))
    keys = list(rows[0])[1:list(rows[0]).index('seed')]  # settings
    for row in rows:
        changed = [key for key in keys if row[key]]
        if row['config'] == BACL and changed in ([], [WITH_MARGIN]):
            row.update(AP='60.0' if changed else '50.0', APr='')
    write(path, rows)
    write(path.with_name('emoji_lt_ablation_sgd.csv'), [
        {'optim_wrapper.optimizer.type': 'SGD', **row, 'AP': '70.0'} for row in rows])
    main([])
    assert '[50.0 / n/a / ' in (copy / 'configs/README.md').read_text()
    text, _, other = (copy / 'configs/bacl/emoji-lt-mini.md').read_text().partition(
        'With `optim_wrapper.optimizer.type=SGD` ([single runs](../emoji_lt_ablation_sgd.csv)):')
    assert '| MG + WT + FHM (BACL) | 50.0 ± 0.0 | n/a |' in text
    assert '| WT + FHM | 60.0 ± 0.0 | n/a |' in text and '| alpha = 0 | 60.0' in text
    assert '| WT + FHM | 70.0 ± 0.0 |' in other and '70.0' not in text
    models = yaml.safe_load((copy / 'configs/bacl/metafile.yml').read_text())['Models']
    (model,) = [model for model in models if model['Name'] == BACL]
    metrics = model['Results'][0]['Metrics']
    assert metrics['box AP'] == 50.0 and 'box APr' not in metrics


def test_metafiles_claim_nothing_of_what_was_not_measured():
    configs, claimed = set(), set()
    for path in yaml.safe_load((ROOT / 'model-index.yml').read_text())['Import']:
        metafile = yaml.safe_load((ROOT / path).read_text())
        (collection,) = metafile['Collections']
        assert (ROOT / collection['README']).parent == (ROOT / path).parent
        models = metafile['Models']
        assert all(model['In Collection'] == collection['Name'] for model in models)
        configs.update(model['Config'] for model in models)
        claimed.update(model['Name'] for model in models if 'Results' in model)
    assert configs == {
        str(path.relative_to(ROOT)) for path in (ROOT / 'configs').glob('[!_]*/*.py')
        if not (path.parent / 'plan.json').is_file()}
    with (ROOT / 'configs/emoji_lt_ablation.csv').open() as file:
        assert claimed == {row['config'] for row in csv.DictReader(file)
                           if not any(text for key, text in row.items() if key.startswith('model'))}


def test_new_family_is_in_the_index_and_for_mim(main, copy):
    folder = copy / 'configs/new'
    folder.mkdir()
    (folder / 'faster-rcnn_r50_fpn_new-2x_lvis-v1.py').write_text('')
    with pytest.raises(FileNotFoundError, match='configs/new/metafile.yml is missing'):
        main([])
    collection = dict(Name='New', Paper=dict(Title='A new one', URL='https://example.org'))
    (folder / 'metafile.yml').write_text(yaml.safe_dump(dict(Collections=[collection])))
    main([])
    assert ('| [New](new/README.md) | 1 | [A new one](https://example.org) |'
            in (copy / 'configs/README.md').read_text())
    assert 'configs/new/metafile.yml' in yaml.safe_load(
        (copy / 'model-index.yml').read_text())['Import']
    metafile = yaml.safe_load((folder / 'metafile.yml').read_text())
    assert metafile['Collections'] == [collection]
    assert [model['Config'] for model in metafile['Models']] == [
        'configs/new/faster-rcnn_r50_fpn_new-2x_lvis-v1.py']
