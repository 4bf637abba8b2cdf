"""A tiny world of images and objects, and plans for it."""
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
from bacl.planning import plan as plan_module
from bacl.planning.detectors import read_detector
from bacl.planning.pairs import Sources
from bacl.planning.plan import Request, make_plan
from mmdet.registry import DATASETS, METRICS
from mmengine.config import Config

ROOT = Path(__file__).parents[2]
BASES = ROOT / 'configs' / '_base_'
WIDTH, HEIGHT = 64, 48
NAMES = ('cat', 'dog', 'yak')


@dataclass(frozen=True)
class Thing:
    """An object: index of its image, class, box and triangle in it."""

    image: int
    label: int
    box: tuple

    @property
    def polygon(self):
        x, y, w, h = self.box
        return [x, y, x + w, y, x, y + h]


@pytest.fixture(scope='session')
def things():
    """Objects of twelve images: cats everywhere, dogs in six, yaks in two; one more is empty."""
    found = [Thing(i, 0, (2 + i, 3, 20, 16)) for i in range(12)]
    found += [Thing(i, 1, (30, 5 + i, 24, 30)) for i in range(0, 12, 2)]
    return [*found, *(Thing(i, 2, (10, 20, 12, 12)) for i in (3, 9))]


@pytest.fixture(scope='session')
def pictures():
    """JPEG bytes of a noisy image."""
    noise = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    return cv2.imencode('.jpg', noise)[1].tobytes()


@pytest.fixture
def write_images(tmp_path, pictures):
    """A function that writes images with given paths below a folder; returns the folder."""
    def write(names, folder='images'):
        for name in names:
            path = tmp_path / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(pictures)
        return tmp_path / folder

    return write


@pytest.fixture
def coco(things):
    """A function that makes a plain COCO file of the world, for images of given names."""
    def make(names):
        return dict(
            images=[dict(id=i + 1, file_name=name, width=WIDTH, height=HEIGHT)
                    for i, name in enumerate(names)],
            annotations=[
                dict(id=i + 1, image_id=thing.image + 1, category_id=thing.label + 1,
                     bbox=list(thing.box), area=thing.box[2] * thing.box[3] / 2, iscrowd=0,
                     segmentation=[thing.polygon]) for i, thing in enumerate(things)],
            categories=[dict(id=i + 1, name=name) for i, name in enumerate(NAMES)])

    return make


read_once = cache(read_detector)


@pytest.fixture(scope='session')
def detector():
    """A function that returns a detector by its name."""
    return lambda name: read_once(name, BASES)


@pytest.fixture
def plan(tmp_path, monkeypatch):
    """A function that plans for content of files, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plan_module, 'read_detector', read_once)

    def run(train, images, val=None, name='world', lines=None, **options):
        files = {}
        for split, content in (('train', train), ('val', val)):
            files[split] = content
            if isinstance(content, dict | list):
                files[split] = tmp_path / f'{split}_ann.json'
                files[split].write_text(json.dumps(content, ensure_ascii=False), encoding='utf-8')
        sources = {key: options.pop(key) for key in list(options)
                   if key in Sources.__dataclass_fields__}
        return make_plan(
            Sources(files['train'], images, files['val'], **{'num_opened': 5, **sources}),
            Request(name=name, **{'gpus': 0, **options}), BASES,
            [].append if lines is None else lines.append)

    return run


@pytest.fixture
def load():
    """A function that reads a config of a plan."""
    return lambda plan, run='stage1': Config.fromfile(plan.folder / f'{plan.configs[run]}.py')


@pytest.fixture
def labels(load):
    """A function that returns what training and validation of a plan see.

    That is, sorted, each object's file name of the image, class, and box; one image of each side
    goes through its pipeline, and the metric is built.
    """
    def read(plan):
        cfg, found = load(plan), []
        for split in ('train', 'val'):
            config = cfg[f'{split}_dataloader'].dataset
            # Serialising searches all of Python's objects for garbage.
            config.get('dataset', config).serialize_data = False
            dataset = DATASETS.build(config)
            inner = getattr(dataset, 'dataset', dataset)
            inner.full_init()
            for i in range(len(inner)):
                info = inner.get_data_info(i)
                names = inner.metainfo['classes']
                found += [(Path(info['img_path']).name, names[one['bbox_label']],
                           tuple(np.round(one['bbox'], 3).tolist())) for one in info['instances']]
            assert dataset[0]['inputs'].shape[0] == 3
        metric = METRICS.build(dict(cfg.val_evaluator))
        assert metric.class_table.names == inner.metainfo['classes']
        return sorted(found)

    return read


@pytest.fixture
def truth(things):
    """A function that returns what :func:`labels` is to return, for images of given names."""
    def make(names):
        return sorted((Path(names[thing.image]).name, NAMES[thing.label],
                       (float(x), float(y), float(x + w), float(y + h)))
                      for thing in things for x, y, w, h in [thing.box])

    return make
