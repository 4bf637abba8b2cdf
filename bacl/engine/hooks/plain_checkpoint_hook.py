"""Keep checkpoints readable without executing code."""

from collections.abc import Callable
from typing import Any

from bacl.compat.checkpoints import from_plain, to_plain
from mmdet.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.runner import Runner


@HOOKS.register_module()
class PlainCheckpointHook(Hook):
    """Write checkpoints that ``torch.load(..., weights_only=True)`` reads as they are.

    mmengine puts objects into a checkpoint (the message hub's history buffers, NumPy arrays and
    scalars of evaluation results and dataset meta data) that torch >= 2.6 refuses to read. Before
    saving, this hook turns them into tensors, containers and numbers; after loading, it restores
    them, so that resuming continues the same curves. A checkpoint that was written without the
    hook passes through unchanged.
    """

    # Last of all, so that it sees what other hooks write into the checkpoint.
    priority = 'LOWEST'

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Turn everything but the model's state dict into plain form, in place."""
        self._convert(checkpoint, to_plain)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Restore what :meth:`before_save_checkpoint` has converted, in place."""
        # A bare state dict has nothing to restore, and its type and meta data must stay.
        if 'state_dict' in checkpoint:
            self._convert(checkpoint, from_plain)

    def _convert(self, checkpoint: dict[str, Any], convert: Callable[[dict], dict]) -> None:
        # The state dict consists of tensors, and carries an attribute that a copy would lose.
        state_dict = checkpoint.pop('state_dict')
        converted = convert(checkpoint)
        checkpoint.clear()
        checkpoint.update(converted, state_dict=state_dict)
