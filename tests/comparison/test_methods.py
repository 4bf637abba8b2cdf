from pathlib import Path

import pytest
import yaml
from bacl.comparison import read_comparison
from bacl.engine.running.settings import apply_settings
from mmengine.config import Config

ROOT = Path(__file__).parents[2]
FILE = ROOT / 'configs/comparison/stage2/methods.yml'


@pytest.fixture
def changed(tmp_path):
    """Write the comparison with a change; returns the path."""

    def write(change):
        content = yaml.safe_load(FILE.read_text())
        change(content)
        path = tmp_path / 'methods.yml'
        path.write_text(yaml.safe_dump(content))
        return path

    return write


@pytest.mark.parametrize('file', sorted(FILE.parents[1].glob('*/methods.yml')),
                         ids=lambda file: file.parent.name)
def test_every_method_names_settings_that_its_config_has(file):
    comparison = read_comparison(file)
    for method in comparison.methods:
        (path,) = ROOT.glob(f'configs/*/{method.config}.py')
        cfg = Config.fromfile(path)
        changed = Config.fromfile(path)
        apply_settings(changed, {**comparison.settings, **method.settings})
        assert (changed.to_dict() != cfg.to_dict()) == bool(comparison.settings or method.settings)
        for settings in method.strengths():
            ((key, value),) = settings.items()
            own = cfg
            for part in key.split('.'):
                own = own[part]
            assert value != own and type(value) in (type(own), int), (method.name, key)


@pytest.mark.parametrize(('folder', 'stage1'), [
    ('end-to-end', None), ('image-level', 'faster-rcnn_effnet-lite0_emoji-lt-mini_stage1'),
    ('dropped-annotations', 'faster-rcnn_effnet-lite0_emoji-lt-mini_stage1'),
    ('image-level-lvis-like', 'faster-rcnn_effnet-lite0_emoji-lt-lvis-like_stage1')])
def test_trainings_of_whole_detectors_start_alike(folder, stage1):
    for method in read_comparison(FILE.parents[1] / folder / 'methods.yml').methods:
        (path,) = ROOT.glob(f'configs/*/{method.config}.py')
        named = Config.fromfile(path).get('stage1_config')
        assert (named and Path(named).stem) == stage1, method.name


def test_what_the_paper_calls_a_method_is_in_its_table():
    tables = yaml.safe_load((ROOT / 'configs/tables.yml').read_text())
    (table,) = (table for table in tables if table['table'] == 'XIII')
    rows = {row['row'] for row in table['rows']}
    for method in read_comparison(FILE).methods:
        assert method.paper is None or f'LVIS v0.5, R50, {method.paper}' in rows, method.name


def test_chosen_methods_come_with_those_that_they_are_compared_with():
    comparison = read_comparison(FILE)
    assert [method.name for method in comparison.chosen(['SCE'])] == ['SCE', 'BCE*', 'BACL']
    with pytest.raises(ValueError, match=r"expects some of \['SCE', .*got 'SEC'"):
        comparison.chosen(['SEC'])


@pytest.mark.parametrize('change, message', [
    (lambda content: content['methods'][0].update(strenght={}), "argument 'strenght'"),
    (lambda content: content.update(baseline='none'), "one method 'none', got 0"),
    (lambda content: content['methods'].append(content['methods'][0]), "'SCE', got 2"),
    (lambda content: content['methods'][0].update(plain='None'), "beside 'SCE', got 'None'"),
    (lambda content: content['methods'][0].update(calibrators=['None']),
     r"calibrators of 'SCE', got \['None'\]"),
    (lambda content: content['methods'][0].update(strength={'a': [1], 'b': [2]}), 'one strength'),
    (lambda content: content.update(learning_rates=[2, 1]), r'rising .* got \[2, 1\]'),
    (lambda content: content.update(learning_rates=[2, 3]), r'with 1, .* got \[2, 3\]'),
    (lambda content: content.update(trains_features=True), 'no images are held out to tune on')])
def test_what_does_not_fit_together_is_named(changed, change, message):
    with pytest.raises(ValueError, match=message):
        read_comparison(changed(change))
