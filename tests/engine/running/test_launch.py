import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import bacl.engine.running.launch as launch
import mmengine.device.utils as mmengine_device
import pytest
import torch.distributed as torch_dist
from bacl.engine.running.launch import (
    check_local_rank,
    is_main_rank,
    is_restarted,
    prepare_launch,
    read_ranks,
)
from mmengine.config import Config

RANK_VARIABLES = ('RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'MASTER_ADDR', 'MASTER_PORT')


@pytest.fixture
def single_process(monkeypatch):
    """The environment that torchrun gives to the only process of a job."""
    values = ('0', '1', '0', '127.0.0.1', '0')
    for name, value in zip(RANK_VARIABLES, values, strict=True):
        monkeypatch.setenv(name, value)
    yield
    if torch_dist.is_initialized():
        torch_dist.destroy_process_group()


def test_without_launcher_only_the_launcher_is_set():
    cfg = Config(dict(model=dict(type='X')))
    prepare_launch(cfg, 'none')
    assert cfg.to_dict() == dict(model=dict(type='X'), launcher='none')
    assert not torch_dist.is_initialized()


def test_unknown_launcher_is_refused():
    with pytest.raises(ValueError, match=r"launcher=\) expects one of .*, got 'ray'"):
        prepare_launch(Config(), 'ray')


@pytest.mark.parametrize(
    'launcher, variable', [('pytorch', 'RANK'), ('slurm', 'SLURM_PROCID'),
                           ('mpi', 'OMPI_COMM_WORLD_RANK')])
def test_launcher_that_did_not_start_the_process_is_named_with_its_variables(
        monkeypatch, launcher, variable):
    monkeypatch.delenv(variable, raising=False)
    with pytest.raises(RuntimeError, match=rf'--launcher {launcher} expects .*{variable}'):
        prepare_launch(Config(), launcher)


def test_main_rank_is_known_before_ranks_are_connected(monkeypatch):
    assert is_main_rank('none')
    for name in ('SLURM_NTASKS', 'SLURM_LOCALID'):
        monkeypatch.setenv(name, '2')
    for rank in (0, 1):
        monkeypatch.setenv('SLURM_PROCID', str(rank))
        assert is_main_rank('slurm') == (rank == 0)


@pytest.mark.parametrize('variable', ['TORCHELASTIC_RESTART_COUNT', 'SLURM_RESTART_COUNT'])
def test_restart_is_what_torchrun_or_slurm_counts(monkeypatch, variable):
    for name in ('TORCHELASTIC_RESTART_COUNT', 'SLURM_RESTART_COUNT'):
        monkeypatch.delenv(name, raising=False)
    assert not is_restarted()
    for count, expected in (('', False), ('0', False), ('1', True), ('12', True)):
        monkeypatch.setenv(variable, count)
        assert is_restarted() == expected


@pytest.mark.parametrize('has_failed', [False, True])
def test_process_group_is_destroyed_at_the_end_of_a_process_that_did_not_fail(
        monkeypatch, single_process, has_failed):
    at_exit = []
    monkeypatch.setattr(launch, 'get_device', lambda: 'cpu')
    monkeypatch.setattr(launch.atexit, 'register', at_exit.append)
    prepare_launch(Config(), 'none')
    assert at_exit == []
    prepare_launch(Config(), 'pytorch')
    assert torch_dist.is_initialized()
    if has_failed:
        monkeypatch.setattr(sys, 'last_value', KeyError(), raising=False)
    else:
        monkeypatch.delattr(sys, 'last_value', raising=False)
    for call in at_exit * 2:  # a script may have destroyed it itself
        call()
    assert torch_dist.is_initialized() == has_failed


def test_ranks_of_slurm_are_read(monkeypatch):
    for name, value in dict(SLURM_PROCID='5', SLURM_NTASKS='16', SLURM_LOCALID='1').items():
        monkeypatch.setenv(name, value)
    assert read_ranks('slurm') == (5, 16, 1)


def test_more_processes_than_devices_are_refused():
    check_local_rank(1, 2)
    with pytest.raises(RuntimeError, match='at most one process per CUDA device'):
        check_local_rank(2, 2)


def test_cpu_gets_gloo_and_a_wrapper_without_device(monkeypatch, single_process):
    monkeypatch.setattr(launch, 'get_device', lambda: 'cpu')
    cfg = Config(dict(find_unused_parameters=True))
    prepare_launch(cfg, 'pytorch')
    assert torch_dist.get_backend() == 'gloo'
    assert cfg.model_wrapper_cfg == dict(
        type='MMDistributedDataParallel', broadcast_buffers=False, find_unused_parameters=True,
        device_ids=None)


def test_timeout_is_passed_on_only_if_it_is_set(monkeypatch, single_process):
    monkeypatch.setattr(launch, 'get_device', lambda: 'cpu')
    calls = []
    monkeypatch.setattr(launch.torch_dist, 'init_process_group',
                        lambda backend, **options: calls.append(options))
    prepare_launch(Config(), 'pytorch')
    prepare_launch(Config(dict(env_cfg=dict(dist_cfg=dict(timeout=60)))), 'pytorch')
    assert calls == [{}, dict(timeout=timedelta(seconds=60))]


@pytest.mark.parametrize('launcher', ['none', 'pytorch'])
def test_apple_gpu_without_float64_gives_way_to_the_cpu(monkeypatch, single_process, launcher):
    monkeypatch.setattr(mmengine_device, 'DEVICE', 'mps')
    cfg = Config()
    prepare_launch(cfg, launcher)
    assert launch.get_device() == 'cpu'
    assert torch_dist.is_initialized() == (launcher == 'pytorch')


def test_wrapper_of_the_config_is_kept_on_cpu(monkeypatch, single_process):
    monkeypatch.setattr(launch, 'get_device', lambda: 'cpu')
    cfg = Config(dict(model_wrapper_cfg=dict(static_graph=True, broadcast_buffers=True)))
    prepare_launch(cfg, 'pytorch')
    assert cfg.model_wrapper_cfg.static_graph
    assert cfg.model_wrapper_cfg.broadcast_buffers
    assert cfg.model_wrapper_cfg.device_ids is None


def test_devices_are_left_to_mmengine(monkeypatch, single_process):
    monkeypatch.setattr(launch, 'get_device', lambda: 'cuda')
    monkeypatch.setattr(launch.torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(launch.torch.cuda, 'device_count', lambda: 1)
    cfg = Config()
    prepare_launch(cfg, 'pytorch')
    assert cfg.to_dict() == dict(launcher='pytorch')
    assert not torch_dist.is_initialized()


@pytest.mark.dist
@pytest.mark.slow
def test_two_processes_on_the_cpu_form_a_group_that_adds(tmp_path):
    script = tmp_path / 'sum_ranks.py'
    script.write_text(
        'import atexit, os, torch\n'
        'from pathlib import Path\n'
        'from bacl.engine.running.launch import prepare_launch\n'
        'from mmengine import dist\n'
        'from mmengine.config import Config\n'
        "note = Path(__file__).with_name(f'rank_{os.environ[\"RANK\"]}.txt')\n"
        "result = 'failed'\n"
        "atexit.register(lambda: note.write_text(f'{result}, left: {not dist.is_distributed()}'))\n"
        "prepare_launch(Config(), 'pytorch')\n"
        'total = torch.tensor(float(dist.get_rank() + 1))\n'
        'dist.all_reduce(total)\n'
        "result = f'{dist.get_rank()} of {dist.get_world_size()}: {total.item()}'\n")
    command = [sys.executable, '-m', 'torch.distributed.run', '--standalone',
               '--nproc_per_node=2', str(script)]
    root = Path(launch.__file__).parents[3]
    environment = {name: value for name, value in os.environ.items()
                   if name not in RANK_VARIABLES}
    environment.update(PYTHONPATH=f'{root}:{environment.get("PYTHONPATH", "")}',
                       CUDA_VISIBLE_DEVICES='-1')
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    # In files: what two ranks print into one pipe may be mixed within a line.
    for rank in range(2):
        note = (tmp_path / f'rank_{rank}.txt').read_text()
        assert note == f'{rank} of 2: 3.0, left: True'
