"""A job that its scheduler restarts goes on by itself."""
import contextlib
import os
import re
import socket
import subprocess
import time
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[2] / 'tools'


def free_port():
    with socket.socket() as server:
        server.bind(('127.0.0.1', 0))
        return server.getsockname()[1]


@pytest.fixture
def start_agents(project, stage1_run, faults):
    """Trains stage 2 for two epochs on two ranks; returns exit codes and outputs of agents.

    A rank has two images a step.
    """
    def start(num_agents, max_restarts, **hooks):
        config = project.config('stage2-bacl', f'default_hooks = {hooks}', max_epochs=2)
        environment = dict(
            project.environment, NNODES=f'{num_agents}:{num_agents}',
            TORCHRUN_ARGS=f'--max-restarts={max_restarts} --rdzv-backend=c10d '
            f'--rdzv-endpoint=localhost:{free_port()}')
        command = ['bash', str(TOOLS / 'dist_train.sh'), str(config), str(2 // num_agents),
                   '--work-dir', 'run', '--seed', '0',
                   '--stage1-checkpoint', str(stage1_run / 'epoch_3.pth'),
                   '--cfg-options', 'train_dataloader.batch_size=2']
        with contextlib.ExitStack() as stack:
            agents = [stack.enter_context(faults.ended(subprocess.Popen(
                command, env=environment, cwd=project.folder, stdin=subprocess.DEVNULL, text=True,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)))
                for _ in range(num_agents)]
            outputs = [agent.communicate(timeout=240)[0] for agent in agents]
            return [agent.returncode for agent in agents], ''.join(outputs)

    return start


@pytest.mark.dist
def test_torchrun_restarts_a_job_on_two_machines_and_all_ranks_resume(
        start_agents, project, faults):
    # Rank 1 dies in the second step of the second epoch, when the first is saved. Of two agents, as
    # on two machines, one counts a restart.
    codes, output = start_agents(2, 2, kill=dict(type='KillHook', iteration=4, rank=1),
                                 same_state=dict(type='SameStateHook'))
    assert codes == [0, 0], output[-5000:]
    assert f'The job was restarted: it resumes from {project.folder}/run/epoch_1.pth' in output
    assert 'resumed epoch: 1, iter: 3' in output
    # Once after each epoch: the first was not trained again.
    assert output.count('SAME STATE on 2 ranks') == 2
    assert faults.read(project.folder / 'run/epoch_2.pth')['meta']['epoch'] == 2


@pytest.mark.dist
def test_rank_that_dies_is_restarted_and_named_when_it_dies_again(start_agents, project):
    started = time.monotonic()
    (code,), output = start_agents(
        1, 1, kill=dict(type='KillHook', iteration=4, rank=1, restarted=5),
        pids=dict(type='TellPidHook'))
    assert code == 1
    # Far below the timeout of collective operations, which is half an hour.
    assert time.monotonic() - started < 120
    assert f'The job was restarted: it resumes from {project.folder}/run/epoch_1.pth' in output
    assert 'resumed epoch: 1, iter: 3' in output
    cause = output[output.index('Root Cause'):]
    assert re.search(r'rank\s*: 1 \(local_rank: 1\)', cause)
    assert re.search(r'exitcode\s*: -9 ', cause)
    pids = re.findall(r'RANK \d IS (\d+)', output)
    assert len(pids) == 4
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid), 0)


def test_slurm_requeues_a_job_and_it_resumes(project, faults):
    work_dir = project.folder / 'run'
    project.train(project.config('stage1', max_epochs=1), work_dir)
    project.environment.update(SLURM_RESTART_COUNT='1')
    output = project.train(project.config('stage1', max_epochs=2), work_dir)
    assert f'The job was restarted: it resumes from {work_dir}/epoch_1.pth' in output
    assert faults.read(work_dir / 'epoch_2.pth')['meta']['iter'] == 2 * faults.NUM_BATCHES
