"""A disk that fills up, a folder that is no longer writable."""
import ctypes
import os
import resource
import sys

import pytest

# Of Linux: what takes a right from a process and those that it starts, and which.
PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 24, 1, 2
HOOKS = 'default_hooks = dict(logger=dict(interval=1), checkpoint=dict(max_keep_ckpts=1))'


def finish(process):
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 1, output[-5000:]
    return output


def check_error(output, work_dir, reason):
    error = [line for line in output.splitlines() if 'cannot be written' in line][-1]
    assert f'RuntimeError: A checkpoint cannot be written to {work_dir}: {reason}' in error
    assert f'The checkpoint before it is complete: {work_dir}/epoch_1.pth.' in error
    assert error.endswith('go on with --resume.')


def test_full_disk_ends_the_run_and_keeps_the_only_checkpoint(project, faults):
    config = project.config('stage1', HOOKS, max_epochs=2)
    work_dir = project.folder / 'run'
    with faults.ended(project.start(config, work_dir)) as process:
        faults.wait_for_step(process, 2, 1)
        # What a full disk does: a write is cut short and then fails.
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (2**20, 2**20))
        check_error(finish(process), work_dir, 'File too large')
    assert [path.name for path in work_dir.glob('epoch_*')] == ['epoch_1.pth']
    assert faults.read(work_dir / 'epoch_1.pth')['meta']['epoch'] == 1

    project.train(config, work_dir, '--resume')
    # The oldest goes only when the new one is there.
    assert [path.name for path in work_dir.glob('epoch_*')] == ['epoch_2.pth']


def bound_by_permissions():
    """In a child process: take the right to override permissions from root."""
    if os.geteuid() == 0:
        for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
            if ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0:
                raise OSError('prctl')


@pytest.mark.skipif(not sys.platform.startswith('linux'), reason='root has other names elsewhere')
def test_folder_without_permission_ends_the_run(project, faults):
    config = project.config('stage1', HOOKS, max_epochs=2)
    work_dir = project.folder / 'run'
    with faults.ended(
            project.start(config, work_dir, preexec_fn=bound_by_permissions)) as process:
        faults.wait_for_step(process, 2, 1)
        work_dir.chmod(0o555)
        check_error(finish(process), work_dir, 'Permission denied')
    assert faults.read(work_dir / 'epoch_1.pth')['meta']['epoch'] == 1

    code, output = project.run(config, work_dir, '--resume', preexec_fn=bound_by_permissions)
    assert code == 1
    assert f'--work-dir expects a folder that can be written to, got {str(work_dir)!r} ' \
        '(Permission denied)' in output


def test_work_dir_that_became_a_file_ends_the_run(project, faults):
    config = project.config('stage1', HOOKS, max_epochs=2)
    work_dir = project.folder / 'run'
    with faults.ended(project.start(config, work_dir)) as process:
        faults.wait_for_step(process, 2, 1)
        work_dir.rename(project.folder / 'moved')
        work_dir.write_text('')
        output = finish(process)
    # Whoever writes first, log, curves or checkpoint, names the file.
    error = output.strip().splitlines()[-1]
    assert 'Error: ' in error and f'{work_dir}' in error
    assert faults.read(project.folder / 'moved/epoch_1.pth')['meta']['epoch'] == 1
    assert work_dir.read_text() == ''
