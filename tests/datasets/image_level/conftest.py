import json

import cv2
import numpy as np
import pytest
from bacl.datasets import ImageLevelDataset


@pytest.fixture
def images(tmp_path, make_lvis):
    """Beside a tiny LVIS dataset a folder of its classes, with pictures of 20 x 30 pixels."""
    make_lvis('v1')
    rng = np.random.default_rng(0)
    for name in ('acorn/a.jpg', 'acorn/b.png', 'zebra/c.jpg'):
        file = tmp_path / 'single' / name
        file.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(file), rng.integers(0, 256, (20, 30, 3), dtype=np.uint8))
    return tmp_path / 'single'


@pytest.fixture
def build(tmp_path, images):
    """Build a dataset of the folder, or of what is written to a file."""
    def build(content=None, pipeline=(), **kwargs):
        source = 'single'
        if content is not None:
            source = 'list.json' if isinstance(content, dict) else 'list.txt'
            (tmp_path / source).write_text(
                json.dumps(content) if isinstance(content, dict) else content)
            kwargs = dict(data_prefix=dict(img='single'), **kwargs)
        return ImageLevelDataset(data_root=str(tmp_path), ann_file=source, pipeline=pipeline,
                                 class_file='annotations/lvis_v1_train.json', **kwargs)
    return build
