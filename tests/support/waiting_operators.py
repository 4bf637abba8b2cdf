"""What shows on a CPU that a step would wait for a GPU."""
import torch
from torch.utils._python_dispatch import TorchDispatchMode


class WaitingOperators(TorchDispatchMode):
    """Counts the operators for which the host would wait for a GPU."""

    count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.name().split('.')[0]
        self.count += any(part in name for part in ('_local_scalar_dense', 'nonzero', 'unique',
                                                    'masked_select', 'bincount'))
        # x[mask] asks how many there are.
        indices = args[1] if 'index' in name and isinstance(args[1], list | tuple) else []
        self.count += any(index is not None and index.dtype == torch.bool for index in indices)
        return function(*args, **(kwargs or {}))
