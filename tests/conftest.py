import bacl  # noqa: F401
import pytest
from mmengine.registry import init_default_scope


@pytest.fixture(autouse=True)
def mmdet_scope():
    """Configs name mmdet's components without prefix, as in a Runner with default_scope."""
    init_default_scope('mmdet')
