import bacl  # noqa: F401
import pytest
from bacl.engine.checking.config_check import check_config
from bacl.models import RENAMED
from mmdet.registry import MODELS
from mmengine.config import Config


@pytest.mark.parametrize(('old', 'new'), RENAMED.items())
def test_an_old_name_is_told_the_new_one_by_the_check_and_by_the_builder(old, new):
    component = dict(type=old, num_classes=3, gamma=12.0)
    assert new in MODELS
    with pytest.raises(ValueError) as error:  # what tools/train.py, test.py and bacl.check call
        check_config(Config(dict(model=dict(part=component))))
    assert str(error.value).count('model.part') == 1
    assert f'model.part.type: {old!r} is now called {new!r}' in str(error.value)
    with pytest.raises(ValueError, match=f'{old}.*{new}'):
        MODELS.build(component)


def test_an_old_name_is_not_proposed_for_a_misspelt_one():
    with pytest.raises(ValueError, match="the nearest is 'EqualizationLossV2'"):
        check_config(Config(dict(model=dict(type='EqualisationLossV2'))))
    with pytest.raises(ValueError) as error:
        check_config(Config(dict(model=dict(part=dict(type='EarlyStopRoIHeads'),
                                            other=dict(type='FBCL')))))
    assert 'EarlyStopRoIHead\'' not in str(error.value).replace('EarlyStopRoIHeads', '')
