"""A job that its scheduler restarts goes on by itself."""
import subprocess
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[2] / 'tools'


@pytest.mark.dist
def test_torchrun_restarts_a_job_and_it_resumes(project, stage1_run, faults):
    # Of two ranks with four images a step, rank 1 dies in the second epoch.
    kill = dict(kill=dict(type='KillHook', iteration=3, rank=1))
    config = project.config('stage2-bacl', f'default_hooks = {kill}', max_epochs=2)
    environment = dict(
        project.environment, TORCHRUN_ARGS='--max-restarts=1 --rdzv-backend=c10d '
        '--rdzv-endpoint=localhost:0', NNODES='1:1')
    with faults.ended(subprocess.Popen(
            ['bash', str(TOOLS / 'dist_train.sh'), str(config), '2', '--work-dir', 'run',
             '--seed', '0', '--stage1-checkpoint', str(stage1_run / 'epoch_3.pth')],
            env=environment, cwd=project.folder, stdin=subprocess.DEVNULL, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)) as process:
        output, _ = process.communicate(timeout=240)
    assert process.returncode == 0, output[-5000:]
    assert 'The job was restarted: it resumes from run/epoch_1.pth' in output
    assert 'resumed epoch: 1, iter: 2' in output
    assert faults.read(project.folder / 'run/epoch_2.pth')['meta']['epoch'] == 2


def test_slurm_requeues_a_job_and_it_resumes(project, faults):
    work_dir = project.folder / 'run'
    project.train(project.config('stage1', max_epochs=1), work_dir)
    project.environment.update(SLURM_RESTART_COUNT='1')
    output = project.train(project.config('stage1', max_epochs=2), work_dir)
    assert f'The job was restarted: it resumes from {work_dir}/epoch_1.pth' in output
    assert faults.read(work_dir / 'epoch_2.pth')['meta']['iter'] == 2 * faults.NUM_BATCHES
