"""Plans for LVIS v1 and COCO-LT: the configs that were written by hand.

The files are small and of the same format; the numbers that settings depend on are those of the
real ones (images and groups as published, sizes of objects like those of COCO).
"""
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from bacl.datasets.coco_lt.published_counts import COCO_LT
from bacl.planning import plan as plan_module
from mmengine.config import Config

CONFIGS = Path(__file__).parents[2] / 'configs'
HAND_WRITTEN = {'stage1': 'bacl/faster-rcnn_{}_fpn_bacl-stage1_{}.py',
                'baseline': 'baselines/faster-rcnn_{}_fpn_sce-2x_{}.py',
                'stage2': 'bacl/faster-rcnn_{}_fpn_bacl-stage2_{}.py'}
SIZE = dict(width=640, height=480)


def differences(ours, theirs, path=''):
    """Paths of the values in which two nested configs differ."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return {d for key in ours.keys() | theirs.keys()
                for d in differences(ours.get(key), theirs.get(key), f'{path}.{key}'.lstrip('.'))}
    if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        return {d for mine, other in zip(ours, theirs, strict=True)
                for d in differences(mine, other, path)}
    return set() if ours == theirs else {path}


@pytest.fixture
def dataset(tmp_path, monkeypatch):
    """A function that writes a data set with one box of each class into data/NAME."""
    monkeypatch.chdir(tmp_path)

    def write(folder, files, categories, make_image):
        for split, file in files.items():
            images = [dict(make_image(split, i), id=i, **SIZE) for i in range(1, 4)]
            annotations = [
                dict(id=i, image_id=1 + i % 3, category_id=category['id'], bbox=[9, 9, 90, 70],
                     area=6300, iscrowd=0, segmentation=[[9, 9, 99, 9, 99, 79, 9, 79]])
                for i, category in enumerate(categories)]
            path = tmp_path / folder / 'annotations' / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(dict(
                images=images, annotations=annotations, categories=categories)))
            for i in range(1, 4):
                image = tmp_path / folder / f'{split}2017' / f'{i:012d}.jpg'
                image.parent.mkdir(exist_ok=True)
                image.touch()
        return [Path(folder, 'annotations', file) for file in files.values()]

    return write


@pytest.fixture
def real_numbers(monkeypatch):
    """A function that puts the numbers of the real data in the place of the small ones."""
    collect = plan_module.collect_facts

    def use(num_images, **classes):
        random = np.random.default_rng(0)
        # Median 58 pixels; a tenth is smaller than 14, a tenth larger than 240.
        sides = np.exp(random.normal(np.log(58), 1.1, 20_000)).clip(3, 480)
        ratios = np.exp(random.normal(0, 0.5, 20_000))
        boxes = np.column_stack([sides * ratios ** 0.5, sides / ratios ** 0.5])
        monkeypatch.setattr(plan_module, 'collect_facts', lambda pair, table: replace(
            collect(pair, table), image_sizes=np.tile([[640., 480.]], (num_images, 1)), boxes=boxes,
            box_images=np.tile([[640., 480.]], (len(boxes), 1)),
            objects_per_image=random.geometric(1 / 12.8, num_images),
            most_of_a_class=60, most_in_an_image=93,
            classes=replace(table, **{key: np.array(value) for key, value in classes.items()})))

    return use


def check(made, backbone, name):
    for run, pattern in HAND_WRITTEN.items():
        ours = Config.fromfile(made.folder / f'{made.configs[run]}.py').to_dict()
        theirs = Config.fromfile(CONFIGS / pattern.format(backbone, name)).to_dict()
        assert differences(ours, theirs) == set(), run


@pytest.mark.parametrize('backbone', ['r50', 'r101'])
def test_lvis_v1(backbone, dataset, real_numbers, plan):
    groups = 337 * 'r' + 461 * 'c' + 405 * 'f'
    files = dataset('data/lvis_v1', dict(train='lvis_v1_train.json', val='lvis_v1_val.json'), [
        dict(id=i, name=f'class {i}', frequency=group, image_count=9, instance_count=9)
        for i, group in enumerate(groups, start=1)],
        lambda split, i: dict(
            coco_url=f'http://images.cocodataset.org/{split}2017/{i:012d}.jpg',
            neg_category_ids=[], not_exhaustive_category_ids=[]))
    real_numbers(99_388)
    made = plan(files[0], Path('data/lvis_v1'), files[1], name='lvis-v1', num_opened=0, gpus=8,
                memory=24, detector=f'faster-rcnn_{backbone}_fpn')
    check(made, backbone, 'lvis-v1')
    choices = {decision.matter: decision.choice for decision in made.settings.decisions}
    assert choices['groups'] == '337 rare, 461 common, 405 frequent'
    assert not Path('data/lvis-v1').exists()  # the files are used as they are


def test_coco_lt(dataset, real_numbers, plan):
    counts = [instances for instances, _ in COCO_LT.of_class.values()]
    files = dataset('data/coco', dict(train='coco_lt_train2017.json',
                                      val='instances_val2017.json'),
                    [dict(id=i, name=f'class {i}') for i in range(1, 81)],
                    lambda split, i: dict(file_name=f'{i:012d}.jpg'))
    real_numbers(99_411, instance_count=counts, image_count=counts)
    made = plan(files[0], Path('data/coco'), files[1], name='coco-lt', num_opened=0, gpus=8,
                memory=24)
    check(made, 'r50', 'coco-lt')
    choices = {decision.matter: decision.choice for decision in made.settings.decisions}
    assert choices['groups'] == ('4 with below 20 instances, 24 with 20 to 399 instances, '
                                 '32 with 400 to 7,999 instances, 20 with 8,000 or more instances')
