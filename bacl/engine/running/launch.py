"""Find device and communication backend of a run, so that no config has to name them."""

import atexit
import logging
import os
import subprocess
import sys
from datetime import timedelta

import mmengine.device.utils as mmengine_device
import torch
import torch.distributed as torch_dist
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.dist import is_distributed
from mmengine.logging import print_log

LAUNCHERS = ('none', 'pytorch', 'slurm', 'mpi')

# Per launcher: where it leaves the rank, the number of processes and the rank within the machine.
_RANK_VARIABLES = {
    'pytorch': ('RANK', 'WORLD_SIZE', 'LOCAL_RANK'),
    'slurm': ('SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_LOCALID'),
    'mpi': ('OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_SIZE', 'OMPI_COMM_WORLD_LOCAL_RANK'),
}
# Who restarts a job counts how often.
_RESTART_VARIABLES = ('TORCHELASTIC_RESTART_COUNT', 'SLURM_RESTART_COUNT')


def prepare_launch(cfg: Config, launcher: str) -> None:
    """Make ``cfg`` run under ``launcher`` on the devices that the machine has.

    With accelerators mmengine does the rest by itself (NCCL, one process per device). Without any,
    several processes talk through gloo; MMEngine would ask for a CUDA device all the same, so the
    process group is created here and the model wrapper is told to bind no device. Apple's GPU (MPS)
    is not used. Call it before the Runner is built; ``cfg`` is changed in place. However many
    processes there are, the process group is destroyed when Python ends.

    Args:
        cfg: config of the run; gets ``launcher`` and, on CPU only, ``model_wrapper_cfg``.
        launcher: one of ``LAUNCHERS``.

    Raises:
        ValueError: if ``launcher`` is unknown.
        RuntimeError: if the launcher did not start this process, or if it started more processes
            on this machine than there are CUDA devices.
    """
    if launcher not in LAUNCHERS:
        raise ValueError(f'prepare_launch(launcher=) expects one of {LAUNCHERS}, got {launcher!r}.')
    cfg.launcher = launcher
    if get_device() == 'mps':
        _use_cpu()
    if launcher == 'none':
        return
    atexit.register(_destroy_process_group)
    rank, world_size, local_rank = read_ranks(launcher)
    if get_device() == 'cpu':
        _init_gloo(cfg, launcher, rank, world_size, local_rank)
    elif torch.cuda.is_available():
        check_local_rank(local_rank, torch.cuda.device_count())


def read_ranks(launcher: str) -> tuple[int, int, int]:
    """Return rank, number of processes and rank within the machine, as ``launcher`` left them.

    Raises:
        RuntimeError: if one of the launcher's environment variables is missing.
    """
    names = _RANK_VARIABLES[launcher]
    missing = [name for name in names if name not in os.environ]
    if missing:
        raise RuntimeError(
            f'--launcher {launcher} expects the environment variables {", ".join(names)}, '
            f'got no {", ".join(missing)}. '
            'Start through tools/dist_train.sh, tools/slurm_train.sh or mpirun, or leave '
            '--launcher out for a single process.')
    rank, world_size, local_rank = (int(os.environ[name]) for name in names)
    return rank, world_size, local_rank


def is_main_rank(launcher: str) -> bool:
    """Tell whether this is the only process of a run, or rank 0, also before ranks are connected.

    Raises:
        RuntimeError: if one of the launcher's environment variables is missing.
    """
    return launcher == 'none' or read_ranks(launcher)[0] == 0


def is_restarted() -> bool:
    """Tell whether Slurm (``--requeue``) or torchrun (``--max-restarts``) counts a restart.

    An agent of torchrun counts the failures of its own ranks, not those on other machines.
    """
    return any(int(os.environ.get(name) or 0) > 0 for name in _RESTART_VARIABLES)


def check_local_rank(local_rank: int, num_devices: int) -> None:
    """Refuse a process without a CUDA device of its own: NCCL would hang or fail obscurely.

    Raises:
        RuntimeError: if ``local_rank`` is not below ``num_devices``.
    """
    if local_rank >= num_devices:
        raise RuntimeError(
            f'--launcher expects at most one process per CUDA device, got local rank {local_rank} '
            f'with {num_devices} device(s). Start {num_devices} process(es), '
            'or hide the devices with CUDA_VISIBLE_DEVICES=-1 to train on the CPU.')


def _destroy_process_group() -> None:
    """Destroy the process group, if there is one, at the end of a process that did not fail.

    Without it the threads of gloo now and then abort a process whose Python has ended, and the run
    counts as failed. A process that ends with an exception must not wait for what it has begun with
    others: its launcher ends them only after it.
    """
    if is_distributed() and not hasattr(sys, 'last_value'):  # set for an exception nobody caught
        torch_dist.destroy_process_group()


def _use_cpu() -> None:
    # The indicators count in float64, which MPS lacks. MMEngine has no setting for its device.
    mmengine_device.DEVICE = 'cpu'
    print_log('The GPU of this machine (MPS) has no float64: running on the CPU.',
              logger='current', level=logging.WARNING)


def _init_gloo(cfg: Config, launcher: str, rank: int, world_size: int, local_rank: int) -> None:
    if not is_distributed():
        os.environ.setdefault('MASTER_ADDR', _master_address(launcher))
        os.environ.setdefault('MASTER_PORT', '29500')
        # Read by mmengine's model wrapper and by torch.
        os.environ.update(
            RANK=str(rank), WORLD_SIZE=str(world_size), LOCAL_RANK=str(local_rank))
        timeout = cfg.get('env_cfg', {}).get('dist_cfg', {}).get('timeout')
        # Older versions of torch do not take None for their default.
        options = {} if timeout is None else dict(timeout=timedelta(seconds=timeout))
        torch_dist.init_process_group('gloo', **options)
    wrapper = dict(
        type='MMDistributedDataParallel',
        broadcast_buffers=False,
        find_unused_parameters=cfg.get('find_unused_parameters', False))
    wrapper.update(cfg.get('model_wrapper_cfg') or {})
    cfg.model_wrapper_cfg = dict(wrapper, device_ids=None)


def _master_address(launcher: str) -> str:
    if launcher != 'slurm' or int(os.environ['SLURM_NTASKS']) == 1:
        return '127.0.0.1'
    hosts = subprocess.run(
        ['scontrol', 'show', 'hostnames', os.environ['SLURM_NODELIST']],
        check=True, capture_output=True, text=True)
    return hosts.stdout.split()[0]
