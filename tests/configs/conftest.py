import copy
from collections.abc import Callable
from functools import cache
from pathlib import Path

import bacl  # noqa: F401
import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import nn

CONFIGS = Path(__file__).parents[2] / 'configs'
# Of all families; folders of plans for somebody's own data are none.
PATHS = {path.stem: path for path in sorted(CONFIGS.glob('[!_]*/*.py'))
         if not (path.parent / 'plan.json').is_file()}


@pytest.fixture(params=PATHS)
def config_name(request) -> str:
    """Every config, one after the other."""
    return request.param


@pytest.fixture(params=[name for name in PATHS if 'stage2' in name])
def stage2_name(request) -> str:
    """Every config of a stage 2, one after the other."""
    return request.param


@pytest.fixture(params=sorted({path.parent.name for path in PATHS.values()}))
def family(request) -> str:
    """Every folder of configs, one after the other."""
    return request.param


@pytest.fixture(scope='session')
def config_paths() -> dict[str, Path]:
    """The files of all configs by their names."""
    return PATHS


@pytest.fixture(scope='session')
def load_config() -> Callable[[str], Config]:
    """A function from the name of a config to a copy of it; each file is read once."""
    read = cache(lambda name: Config.fromfile(PATHS[name]))
    return lambda name: copy.deepcopy(read(name))


@pytest.fixture
def cfg(config_name, load_config) -> Config:
    """The config called ``config_name``."""
    return load_config(config_name)


@pytest.fixture(scope='session')
def stage1_of(load_config) -> Callable[[str], str | None]:
    """A function from the name of a config to that of its stage 1; None if it has none."""

    def find(name: str) -> str | None:
        path = load_config(name).get('stage1_config')
        return path and Path(path).name.removesuffix('.py')

    return find


@pytest.fixture(scope='session')
def build_shapes(load_config) -> Callable[[str], nn.Module]:
    """A function from the name of a config to its whole model, of shapes without values."""

    @cache
    def build(name: str) -> nn.Module:
        init_default_scope('mmdet')
        model = load_config(name).model
        # Swin's constructor reads values of a tensor.
        is_swin = model.backbone.type == 'SwinTransformer'
        with torch.device('cpu' if is_swin else 'meta'):
            return MODELS.build(model)

    return build


@pytest.fixture(scope='session')
def box_heads() -> Callable[[Config | nn.Module], list]:
    """A function from a model, or the config of one, to its box heads: a list in a cascade."""

    def find(model: Config | nn.Module) -> list:
        heads = getattr(model, 'roi_head', model).bbox_head
        return list(heads) if isinstance(heads, (list, nn.ModuleList)) else [heads]

    return find


@pytest.fixture(scope='session')
def innermost() -> Callable[[dict], dict]:
    """A function from the config of a dataset to that of the dataset inside its wrappers."""

    def find(dataset: dict) -> dict:
        if 'datasets' in dataset:  # detection data and others
            return find(dataset.datasets[0])
        return find(dataset.dataset) if 'dataset' in dataset else dataset

    return find
