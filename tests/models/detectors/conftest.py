import pytest
import torch.nn.functional as F


@pytest.fixture
def num_norm_calls(monkeypatch):
    """Number of batch norms that a function computes."""
    calls, batch_norm = [], F.batch_norm
    monkeypatch.setattr(
        F, 'batch_norm', lambda *args, **kwargs: calls.append(1) or batch_norm(*args, **kwargs))

    def count(function):
        calls.clear()
        function()
        return len(calls)

    return count
