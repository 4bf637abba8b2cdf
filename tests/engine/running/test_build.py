import bacl  # noqa: F401
import pytest
from bacl.engine.running.build import build_model

CONFIG = '''
default_scope = 'mmdet'
model = dict(type='ResNet', depth=18, init_cfg=dict(type='Pretrained', checkpoint='no.such/file'))
'''


@pytest.fixture
def config(tmp_path):
    path = tmp_path / 'config.py'
    path.write_text(CONFIG)
    return str(path)


def test_pretrained_weights_are_not_asked_for(config):
    assert build_model(config).depth == 18


def test_options_override_the_file(config):
    assert build_model(config, {'model.depth': 34}).depth == 34
    options = {'model': dict(_delete_=True, type='ResNet', depth=34)}
    for _ in range(2):  # they stay as they are
        assert build_model(config, options).depth == 34
        assert options['model']['_delete_']


def test_unknown_config_is_named():
    with pytest.raises(FileNotFoundError, match=r"config expects an existing file, got 'no\.py'"):
        build_model('no.py')
