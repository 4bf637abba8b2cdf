from copy import deepcopy

import pytest
from bacl.feature_bank import to_feature_bank
from mmengine.registry import init_default_scope
from small_stage2 import build_bank, make_stage2


@pytest.fixture(scope='session')
def toy(write_lvis, tmp_path_factory):
    """Folder, config and weights of a small stage 2 on a tiny LVIS dataset; only read them."""
    return make_stage2(write_lvis(tmp_path_factory.mktemp('bank'), 'v1'))


@pytest.fixture
def stage2(toy):
    """The config, to be changed."""
    return deepcopy(toy.cfg)


@pytest.fixture(scope='session')
def bank(toy):
    """A bank of two views and two draws of jittered boxes, in float32; only read it."""
    init_default_scope('mmdet')
    return build_bank(toy, toy.folder / 'bank')


@pytest.fixture
def make_bank(toy, tmp_path):
    """Build a bank of one view; return its folder."""

    def make(name='bank', **settings):
        return build_bank(toy, tmp_path / name, **{'views': 1, 'jitters': 1, **settings})

    return make


@pytest.fixture
def over_bank(toy, bank):
    """A config that reads the bank."""

    def turn(folder=bank, training=True, checkpoint=toy.checkpoint, **settings):
        cfg = deepcopy(toy.cfg)
        cfg.load_from = str(checkpoint)
        cfg.merge_from_dict(settings)
        to_feature_bank(cfg, str(folder), training)
        return cfg

    return turn
