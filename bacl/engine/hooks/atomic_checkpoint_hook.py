"""Checkpoints that survive whatever ends a run."""
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bacl.compat.atomic_files import BACKEND, AtomicLocalBackend, write_atomically
from mmdet.registry import HOOKS
from mmengine.dist import is_main_process
from mmengine.fileio import LocalBackend
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner

from ..running.work_dir import POINTER, find_checkpoint


@contextmanager
def explain_failure(runner: Runner) -> Iterator[None]:
    """Say of a file that cannot be written what is left, and how to go on."""
    try:
        yield
    except OSError as error:
        before = find_checkpoint(runner.work_dir)
        left = 'No checkpoint was written before' if before is None else \
            f'The checkpoint before it is complete: {before}'
        name = f' {error.filename}' if error.filename else ''
        raise RuntimeError(
            f'A checkpoint cannot be written to {runner.work_dir}: {error.strerror or error}{name}.'
            f' {left}. Make room, or make the folder writable, and go on with --resume.'
        ) from error


@HOOKS.register_module()
class AtomicCheckpointHook(CheckpointHook):
    """mmengine's hook, with checkpoints that are complete or not there. It has its arguments.

    A checkpoint, and ``last_checkpoint`` that names it, replace what was there in one step
    (:func:`~bacl.compat.atomic_files.write_atomically`). With ``max_keep_ckpts`` the
    oldest, with ``save_best`` the best so far, is removed once the new one is complete, so that
    for a moment there is one more. Checkpoints in a storage service are written as mmengine does.
    ``save_best`` takes the metrics of LVIS and of COCO-LT, and ``'auto'``, without a ``rule``.

    Raises:
        RuntimeError: if a checkpoint cannot be written; says which one is left.
    """

    # mmengine knows mAP. Parts of names do: `lvis/bbox_APr`, `lvis/segm_fixed_AP50`.
    _default_greater_keys = [*CheckpointHook._default_greater_keys, '_AP']

    def before_train(self, runner: Runner) -> None:
        """Choose how checkpoints are written."""
        super().before_train(runner)
        if type(self.file_backend) is LocalBackend:
            self.backend_args = dict(backend=BACKEND)
            self.file_backend = AtomicLocalBackend()

    def after_train_epoch(self, runner: Runner) -> None:
        """Save at the interval, if it counts epochs."""
        with explain_failure(runner):
            super().after_train_epoch(runner)

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch=None,
                         outputs=None) -> None:
        """Save at the interval, if it counts iterations."""
        with explain_failure(runner):
            super().after_train_iter(runner, batch_idx, data_batch, outputs)

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float]) -> None:
        """Save the best."""
        with explain_failure(runner):
            super().after_val_epoch(runner, metrics)

    # mmengine's own removes the best checkpoint before it has the new one.
    def _save_best_checkpoint(self, runner: Runner, metrics: dict[str, float]) -> None:
        if not self.save_best:
            return
        paths = self._best_paths()
        self._set_best_paths(dict.fromkeys(paths))
        super()._save_best_checkpoint(runner, metrics)
        written = {key: path for key, path in self._best_paths().items() if path is not None}
        self._set_best_paths(paths | written)
        for key in written:
            if paths[key] not in (None, written[key]) and is_main_process() and \
                    self.file_backend.isfile(paths[key]):
                self.file_backend.remove(paths[key])

    def _best_paths(self) -> dict[str, str | None]:
        """The best checkpoint by each metric that is watched; '' if there is one metric."""
        if len(self.key_indicators) == 1:
            return {'': self.best_ckpt_path}
        return dict(self.best_ckpt_path_dict)

    def _set_best_paths(self, paths: dict[str, str | None]) -> None:
        if len(self.key_indicators) == 1:
            self.best_ckpt_path = paths['']
        else:
            self.best_ckpt_path_dict = dict(paths)

    # mmengine's own removes the oldest checkpoint before it has the new one.
    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict[str, Any]) -> None:
        outdated = self._remember(runner, step)
        name = self.filename_tmpl.format(step)
        self.last_ckpt = self.file_backend.join_path(self.out_dir, name)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        runner.save_checkpoint(
            self.out_dir, name, self.file_client_args, save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler, meta=meta, by_epoch=self.by_epoch,
            backend_args=self.backend_args, **self.args)
        if is_main_process():
            write_atomically(Path(runner.work_dir, POINTER), self.last_ckpt.encode())
            if outdated is not None and self.file_backend.isfile(outdated):
                self.file_backend.remove(outdated)

    def _remember(self, runner: Runner, step: int) -> str | None:
        """Queue a checkpoint; return the path of the one that is too many, if any."""
        # A step comes twice if it turns out to be the best after it was saved.
        if self.max_keep_ckpts <= 0 or step in self.keep_ckpt_ids:
            return None
        is_full = len(self.keep_ckpt_ids) == self.max_keep_ckpts
        outdated = self.keep_ckpt_ids.popleft() if is_full else None
        self.keep_ckpt_ids.append(step)
        runner.message_hub.update_info('keep_ckpt_ids', list(self.keep_ckpt_ids))
        if outdated is None:
            return None
        return self.file_backend.join_path(self.out_dir, self.filename_tmpl.format(outdated))
