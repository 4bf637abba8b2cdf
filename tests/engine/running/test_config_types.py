import bacl  # noqa: F401
import pytest
from bacl.datasets import CocoLTDataset
from bacl.datasets.long_tail import LongTailMixin
from bacl.engine.running.config_types import is_type, resolve_type
from bacl.models.losses import FCBL
from mmdet.models.losses import FocalLoss
from mmdet.registry import DATASETS, MODELS
from mmengine.config import Config, ConfigDict
from mmengine.registry import Registry


@pytest.mark.parametrize('kind', ['FCBL', 'mmdet.FCBL', 'bacl.models.losses.FCBL',
                                  'bacl.models.losses.fcbl.FCBL', FCBL])
@pytest.mark.parametrize('scope', [None, 'mmdet'])
def test_all_that_mmengine_builds_a_class_from_is_resolved(kind, scope):
    assert resolve_type(ConfigDict(type=kind), MODELS, scope) is FCBL


@pytest.mark.parametrize('config', [
    dict(), dict(type='Unknown'), dict(type='mmdet.Unknown'), dict(type='nowhere.Unknown'),
    dict(type='mmdet..FCBL'), dict(type='')])
def test_what_stands_for_nothing_is_none(config):
    assert resolve_type(config, MODELS) is None
    assert not is_type(config, MODELS, FCBL)


def test_scope_decides_between_namesakes():
    models = Registry('model', parent=MODELS.parent, scope='lab', locations=[])

    @models.register_module(name='FocalLoss')
    class Theirs:
        pass

    try:
        for scope, config, expected in (
                ('mmdet', {}, FocalLoss), ('lab', {}, Theirs),
                ('mmdet', dict(_scope_='lab'), Theirs), ('lab', dict(_scope_='mmdet'), FocalLoss)):
            assert resolve_type(dict(config, type='FocalLoss'), MODELS, scope) is expected
    finally:
        del MODELS.parent.children['lab']


def test_names_are_those_of_the_scope():
    assert resolve_type(dict(type='FCBL'), MODELS, 'mmengine') is None
    assert resolve_type(dict(type='mmdet.FCBL'), MODELS, 'mmengine') is FCBL


def test_derived_classes_are_of_the_type_and_functions_are_not():
    class Mine(CocoLTDataset):
        pass

    assert is_type(dict(type=Mine), DATASETS, CocoLTDataset)
    assert is_type(dict(type='CocoLTDataset'), DATASETS, LongTailMixin)
    assert not is_type(dict(type='LVISV1Dataset'), DATASETS, LongTailMixin)
    assert not is_type(dict(type=print), DATASETS, LongTailMixin)


def test_new_style_of_config_is_resolved_also_when_dumped(tmp_path):
    path = tmp_path / 'new.py'
    path.write_text('from bacl.models.losses import FCBL\n'
                    'from mmdet.datasets import ConcatDataset\n'
                    'loss = dict(type=FCBL)\n')
    cfg = Config.fromfile(path)
    cfg.dump(tmp_path / 'dumped.py')
    for config in (cfg.loss, cfg.to_dict()['loss'], Config.fromfile(tmp_path / 'dumped.py').loss):
        assert resolve_type(config, MODELS) is FCBL
