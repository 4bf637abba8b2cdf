from types import SimpleNamespace

import bacl  # noqa: F401
import pytest
from bacl.engine.hooks.scalar_log_hook import ScalarLogHook
from mmengine.logging import MessageHub


class Hook(ScalarLogHook):
    def scalars(self):
        yield 'group/name', 0.5


def test_scalars_enter_the_training_log_at_the_interval():
    hook, hub = Hook(interval=3), MessageHub.get_instance('test_scalar_log_hook')
    logged = []
    for batch_idx in range(6):
        hook.after_train_iter(SimpleNamespace(message_hub=hub), batch_idx)
        logged.append(len(hub.log_scalars['train/group/name'].data[0]) if hub.log_scalars else 0)
    assert logged == [0, 0, 1, 1, 1, 2]


def test_interval_is_checked():
    with pytest.raises(ValueError, match='interval='):
        Hook(interval=0)
