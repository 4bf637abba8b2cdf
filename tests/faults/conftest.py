"""Real trainings on a few images of Emoji-LT smoke, with something that goes wrong."""
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

import bacl  # noqa: F401
import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]
WATCHDOG = 240  # seconds; a hang is one of the faults that are looked for
NUM_BATCHES = 3  # in an epoch


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.slow)


@contextmanager
def ended(process):
    """A process of which nothing is left afterwards, neither ranks nor processes of a loader."""
    try:
        yield process
    finally:
        process.terminate()  # torchrun ends its ranks, which have groups of their own
        with suppress(subprocess.TimeoutExpired):
            process.wait(60)
        for pid in getattr(process, 'pids', [process.pid]):
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
        process.communicate()


class Project:
    """A dataset, and the work_dirs of trainings on 12 of its images."""

    def __init__(self, data, folder, warm_python):
        self.data = data
        self.folder = folder
        self.warm_python = warm_python
        self.environment = dict(
            os.environ, PYTHON=sys.executable, CUDA_VISIBLE_DEVICES='-1', OMP_NUM_THREADS='1',
            PYTHONUNBUFFERED='1',
            PYTHONPATH=os.pathsep.join([str(ROOT), str(Path(__file__).parent)]))

    def config(self, stage, *settings, max_epochs=1):
        """Write a config of a stage: 'stage1' or 'stage2-bacl'; settings are lines of it."""
        path = self.folder / f'{stage}-{len(list(self.folder.glob("*.py")))}.py'
        base, = ROOT.glob(f'configs/*/faster-rcnn_effnet-lite0_emoji-lt-smoke_{stage}.py')
        path.write_text('\n'.join([
            f'_base_ = {str(base)!r}',
            "custom_imports = dict(imports=['bacl', 'faulty'], allow_failed_imports=False)",
            f'train_cfg = dict(max_epochs={max_epochs})',
            'train_dataloader = dict(batch_size=4, num_workers=2, dataset=dict('
            f'data_root={str(self.data)!r}, indices={4 * NUM_BATCHES}))',
            'val_dataloader = val_evaluator = val_cfg = None',
            'test_dataloader = test_evaluator = test_cfg = None',
            *settings]) + '\n')
        return path

    def start(self, config, work_dir, *argv, processes=1, fresh=False, preexec_fn=None):
        """Start tools/train.py; its output is in a pipe.

        Fresh are interpreters started as by users, ranks by torchrun; so are those with a
        function to call before.
        """
        argv = [ROOT / 'tools/train.py', config, '--work-dir', work_dir, '--seed', 0, *argv,
                *(['--launcher', 'pytorch'] if processes > 1 else [])]
        place = dict(env=self.environment, cwd=self.folder)
        if not fresh and preexec_fn is None:
            return self.warm_python.start(
                argv, ranks=processes if processes > 1 else None, **place)
        torchrun = ['-m', 'torch.distributed.run', f'--nproc_per_node={processes}',
                    '--rdzv_backend=c10d', '--rdzv_endpoint=localhost:0'] if processes > 1 else []
        return subprocess.Popen(
            [sys.executable, *torchrun, *map(str, argv)], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            start_new_session=True, preexec_fn=preexec_fn, **place)

    def run(self, *args, **kwargs):
        """Run tools/train.py to its end; return the exit code and the output."""
        with ended(self.start(*args, **kwargs)) as process:
            output, _ = process.communicate(timeout=WATCHDOG)
        return process.returncode, output

    def train(self, *args, **kwargs):
        """Run tools/train.py, which must succeed; return the output."""
        code, output = self.run(*args, **kwargs)
        assert code == 0, output[-5000:]
        return output


def wait_for_step(process, epoch, step):
    """Read the output of a process, which logs every step, up to the line of this one."""
    lines = []
    deadline = time.monotonic() + WATCHDOG
    for line in process.stdout:
        lines.append(line)
        if re.search(rf'Epoch\(train\)\s+\[{epoch}\]\[{step}/{NUM_BATCHES}\]', line):
            return
        assert time.monotonic() < deadline
    raise AssertionError('The step did not come:\n' + ''.join(lines)[-5000:])


def read(checkpoint):
    return torch.load(checkpoint, weights_only=True)


def differences(first, second, path=''):
    """Paths at which two nested containers of tensors and numbers differ, bit by bit."""
    if isinstance(first, torch.Tensor) and isinstance(second, torch.Tensor):
        is_same = first.dtype == second.dtype and first.shape == second.shape and \
            first.numpy().tobytes() == second.numpy().tobytes()
        return [] if is_same else [path]
    if isinstance(first, dict) and isinstance(second, dict) and first.keys() == second.keys():
        return [d for key in first for d in differences(first[key], second[key], f'{path}.{key}')]
    if isinstance(first, list | tuple) and isinstance(second, list | tuple) and \
            len(first) == len(second):
        return [d for index, (mine, other) in enumerate(zip(first, second, strict=True))
                for d in differences(mine, other, f'{path}[{index}]')]
    return [] if first == second else [path]


@pytest.fixture(scope='session')
def faults():
    """What the tests share besides the fixtures."""
    return SimpleNamespace(ended=ended, wait_for_step=wait_for_step, read=read,
                           differences=differences, NUM_BATCHES=NUM_BATCHES)


@pytest.fixture
def project(smoke_data, tmp_path, warm_python):
    return Project(smoke_data, tmp_path, warm_python)


@pytest.fixture(scope='session')
def stage1_run(smoke_data, tmp_path_factory, warm_python):
    """Three epochs of stage 1 that nothing interrupts: config and work_dir."""
    project = Project(smoke_data, tmp_path_factory.mktemp('stage1'), warm_python)
    config = project.config('stage1', max_epochs=3)
    # An interpreter of its own has another order of sets than those that are compared with it.
    project.train(config, project.folder / 'whole', fresh=True)
    return project.folder / 'whole'
