import copy
import json

import cv2
import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope


@pytest.fixture(scope='module')
def tool(load_tool):
    return load_tool('benchmarks/data_loading.py')


@pytest.fixture(scope='module')
def datasets(tool, tmp_path_factory):
    init_default_scope('mmdet')
    root = tmp_path_factory.mktemp('lvis')
    tool.write_dataset(root, num_images=2, num_instances=3, seed=0)
    return tool.build_datasets(root)


def test_quick_run_reports_both_sides_and_a_ratio_with_a_target(tool):
    num_threads = cv2.getNumThreads()
    rows = tool.measure(tool.parse_args(['--quick']))
    assert all(row.keys() == {'name', 'value', 'unit', 'target'} for row in rows)
    assert all(row['value'] > 0 for row in rows)
    values = {row['name']: row['value'] for row in rows}
    ours, theirs = values['3 instances: bacl'], values['3 instances: mmdet']
    assert values['3 instances: bacl / mmdet'] == pytest.approx(ours / theirs)  # of one round
    assert [row['unit'] for row in rows if row['target']] == ['x speed', 'x speed']
    assert cv2.getNumThreads() == num_threads


def test_profile_is_complete(tool):
    table = tool.profile(tool.parse_args(['--quick']), num_instances=2)
    assert table['mmdet'].keys() == table['bacl'].keys()
    for milliseconds in table.values():
        assert {'1 LoadAnnotations', '1 RandomFlip', '2 CopyPaste'} < milliseconds.keys()
        parts = sum(value for name, value in milliseconds.items() if name != 'all')
        assert parts == pytest.approx(milliseconds['all'])


def test_profile_is_printed(tool, monkeypatch, capsys):
    monkeypatch.setattr(tool, 'profile', lambda args, num_instances: dict(
        mmdet=dict(all=num_instances), bacl=dict(all=0.5)))
    tool.main(['--profile', '--instances', '7'])
    assert capsys.readouterr().out.splitlines()[-1].split() == ['all', '7.00', '0.50']


def test_one_side_is_mmdets_alone(datasets):
    def modules(dataset):
        transforms = [*dataset.dataset.pipeline.transforms, *dataset.pipeline]
        return {type(t).__module__.split('.')[0] for t in transforms
                if type(t).__name__ != 'DropEmptyGT'}

    assert modules(datasets['mmdet']) == {'mmdet', 'mmcv'}
    assert 'bacl' in modules(datasets['bacl'])


def test_difference_of_samples_is_found(tool, datasets):
    ours, theirs = (tool.load(datasets[side], seed=3)[0] for side in ('bacl', 'mmdet'))
    tool.check_same(ours, theirs)
    changes = dict(labels=lambda value: value + 1, masks=lambda value: value.flip(),
                   bboxes=lambda value: type(value)(value.tensor + 1))
    for field, change in changes.items():
        other = copy.deepcopy(theirs)
        instances = other['data_samples'].gt_instances
        instances[field] = change(instances[field])
        with pytest.raises(RuntimeError, match='boxes, labels or masks'):
            tool.check_same(ours, other)
    with pytest.raises(RuntimeError, match='different images'):
        tool.check_same(ours, dict(theirs, inputs=torch.zeros_like(theirs['inputs'])))


def test_same_seed_gives_the_same_files(tool, tmp_path):
    for name in 'ab':
        (tmp_path / name).mkdir()
        tool.write_dataset(tmp_path / name, num_images=2, num_instances=4, seed=1)
    files = sorted(p.relative_to(tmp_path / 'a') for p in (tmp_path / 'a').rglob('*.*'))
    assert len(files) == 3
    for file in files:
        assert (tmp_path / 'a' / file).read_bytes() == (tmp_path / 'b' / file).read_bytes()
    data = json.loads((tmp_path / 'a/annotations/lvis_v1_train.json').read_text())
    assert len(data['images']) == 2 and len(data['annotations']) == 8


def test_objects_are_of_all_sizes_and_inside_the_image(tool):
    rng = np.random.default_rng(0)
    polygons = [tool.draw_polygon(rng) for _ in range(300)]
    assert {len(p) for p in polygons} == set(range(10, 61))
    assert all((p >= 0).all() and (p <= tool.IMAGE_SIZE).all() for p in polygons)
    sides = [np.ptp(p, axis=0).max() for p in polygons]
    assert np.mean(np.array(sides) < 32) > 0.15 and np.mean(np.array(sides) > 96) > 0.15


@pytest.mark.parametrize('arguments', [['--rounds', '0'], ['--instances', '3', '0']])
def test_nothing_to_measure_is_refused(tool, arguments, capsys):
    with pytest.raises(SystemExit):
        tool.parse_args(arguments)
    assert 'expect numbers from 1 on' in capsys.readouterr().err
