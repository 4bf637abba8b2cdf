import json

import pytest
from bacl.datasets.emoji_lt import build_emoji_lt


@pytest.fixture(scope='session')
def smoke(tmp_path_factory):
    return build_emoji_lt('smoke', tmp_path_factory.mktemp('emoji_lt') / 'smoke', workers=2)


@pytest.fixture(scope='session')
def smoke_train(smoke):
    return json.loads(smoke.ann_file('train').read_text())


@pytest.fixture(scope='session')
def smoke_val(smoke):
    return json.loads(smoke.ann_file('val').read_text())


@pytest.fixture(scope='session')
def smoke_exhaustive(smoke):
    return json.loads(smoke.ann_file('val_exhaustive').read_text())
