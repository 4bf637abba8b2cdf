import json
import sys

import pytest


@pytest.fixture
def load_config(load_tool, toy, monkeypatch):
    """Return the config that tools/test.py makes of a command line, without testing."""
    tool = load_tool('test.py')
    monkeypatch.syspath_prepend(toy)
    monkeypatch.chdir(toy)
    (toy / 'model.pth').touch()

    def load(*argv):
        monkeypatch.setattr(sys, 'argv', ['test.py', *argv])
        return tool.load_config(tool.parse_args())

    return load


def test_arguments_reach_the_config(load_config):
    cfg = load_config('stage1.py', 'model.pth', '--work-dir', 'runs/a', '--cfg-options',
                      'resume=True')
    assert (cfg.load_from, cfg.work_dir, cfg.resume) == ('model.pth', 'runs/a', False)


def test_unreadable_images_are_skipped_by_the_datasets_inside_wrappers(load_config, toy):
    (toy / 'wrapped.py').write_text(
        "_base_ = './stage1.py'\n"
        "part = dict(type='mmdet.LongTailLVISV1Dataset', ann_file='a.json')\n"
        "test_dataloader = dict(dataset=dict(_delete_=True, type='ConcatDataset', datasets=[\n"
        "    dict(type='bacl.datasets.CocoLTDataset'),\n"
        "    dict(type='RepeatDataset', times=2, dataset=part)]))\n")
    cfg = load_config('wrapped.py', 'model.pth', '--skip-unreadable')
    plain, repeated = cfg.test_dataloader.dataset.datasets
    assert plain.skip_unreadable and repeated.dataset.skip_unreadable
    assert 'skip_unreadable' not in repeated


def test_unreadable_images_are_not_skipped_unless_told_to(load_config):
    assert 'skip_unreadable' not in load_config('stage1.py', 'model.pth').test_dataloader.dataset


def test_augmented_views_reach_the_config(load_config, toy):
    (toy / 'augmented.py').write_text(
        "_base_ = './stage1.py'\ntta_model = dict(type='Merging')\n"
        "tta_pipeline = [dict(type='TestTimeAug')]\n")
    cfg = load_config('augmented.py', 'model.pth', '--tta')
    assert cfg.model == dict(type='Merging', module=dict(type='ToyModel'))
    assert cfg.test_dataloader.dataset.pipeline == [dict(type='TestTimeAug')]
    assert load_config('augmented.py', 'model.pth').model == dict(type='ToyModel')


@pytest.mark.parametrize('argv, message', [
    (['no.py', 'model.pth'], r"config expects an existing file, got 'no\.py'"),
    (['stage1.py', 'no.pth'], r"checkpoint expects an existing file, got 'no\.pth'"),
])
def test_missing_files_are_named(load_config, argv, message):
    with pytest.raises(FileNotFoundError, match=message):
        load_config(*argv)


def test_predictions_go_to_a_pickle_only(load_config):
    with pytest.raises(ValueError, match='--out expects'):
        load_config('stage1.py', 'model.pth', '--out', 'predictions.json')


def test_undefined_metrics_are_null_in_the_file(load_tool, tmp_path):
    load_tool('test.py').write_metrics({'a': 0.5, 'b': float('nan')}, tmp_path / 'm.json')
    assert json.loads((tmp_path / 'm.json').read_text()) == {'a': 0.5, 'b': None}
