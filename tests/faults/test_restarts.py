"""A job that its scheduler restarts goes on by itself."""
import contextlib
import socket
import subprocess
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[2] / 'tools'


def free_port():
    with socket.socket() as server:
        server.bind(('127.0.0.1', 0))
        return server.getsockname()[1]


@pytest.mark.dist
@pytest.mark.parametrize('num_agents', [1, 2])
def test_torchrun_restarts_a_job_and_all_ranks_resume(project, stage1_run, faults, num_agents):
    # Of two ranks with four images a step, rank 1 dies in the second epoch. Of two agents, as on
    # two machines, one counts a restart.
    hooks = dict(kill=dict(type='KillHook', iteration=3, rank=1),
                 same_state=dict(type='SameStateHook'))
    config = project.config('stage2-bacl', f'default_hooks = {hooks}', max_epochs=2)
    environment = dict(
        project.environment, NNODES=f'{num_agents}:{num_agents}',
        TORCHRUN_ARGS='--max-restarts=2 --rdzv-backend=c10d '
        f'--rdzv-endpoint=localhost:{free_port()}')
    command = ['bash', str(TOOLS / 'dist_train.sh'), str(config), str(2 // num_agents),
               '--work-dir', 'run', '--seed', '0',
               '--stage1-checkpoint', str(stage1_run / 'epoch_3.pth')]
    outputs = []
    with contextlib.ExitStack() as stack:
        agents = [stack.enter_context(faults.ended(subprocess.Popen(
            command, env=environment, cwd=project.folder, stdin=subprocess.DEVNULL, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)))
            for _ in range(num_agents)]
        for agent in agents:
            outputs.append(agent.communicate(timeout=240)[0])
            assert agent.returncode == 0, outputs[-1][-5000:]
    output = ''.join(outputs)
    assert f'The job was restarted: it resumes from {project.folder}/run/epoch_1.pth' in output
    assert 'resumed epoch: 1, iter: 2' in output
    # Once after each epoch: the first was not trained again.
    assert output.count('SAME STATE on 2 ranks') == 2
    assert faults.read(project.folder / 'run/epoch_2.pth')['meta']['epoch'] == 2


def test_slurm_requeues_a_job_and_it_resumes(project, faults):
    work_dir = project.folder / 'run'
    project.train(project.config('stage1', max_epochs=1), work_dir)
    project.environment.update(SLURM_RESTART_COUNT='1')
    output = project.train(project.config('stage1', max_epochs=2), work_dir)
    assert f'The job was restarted: it resumes from {work_dir}/epoch_1.pth' in output
    assert faults.read(work_dir / 'epoch_2.pth')['meta']['iter'] == 2 * faults.NUM_BATCHES
