import importlib.util
import subprocess
import sys
from pathlib import Path

import bacl  # noqa: F401
import pytest
import torch

WORKER = Path(__file__).with_name('worker.py')
WATCHDOG = 120  # seconds; a hang is the fault that is looked for

pytestmark = pytest.mark.dist


def run_two_ranks(case, out_dir, *arguments):
    process = subprocess.run(
        [sys.executable, '-m', 'torch.distributed.run', '--nproc_per_node=2',
         '--rdzv_backend=c10d', '--rdzv_endpoint=localhost:0', str(WORKER), case, str(out_dir),
         *arguments],
        timeout=WATCHDOG, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr[-3000:]
    return [torch.load(out_dir / f'{rank}.pth') for rank in range(2)]


@pytest.mark.parametrize('arguments', [[], ['as-gpu']], ids=['', 'as on a GPU'])
@pytest.mark.parametrize('border', [6, 2, 0], ids=['equal', 'unequal', 'one empty'])
def test_two_ranks_have_the_state_of_one_process_on_the_same_samples(
        border, arguments, tmp_path):
    first, second = run_two_ranks(str(border), tmp_path, *arguments)
    spec = importlib.util.spec_from_file_location('worker', WORKER)
    worker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(worker)
    whole = worker.observe(slice(None))
    assert len({name.split('.')[0] for name in whole if '.' in name}) == len(worker.INDICATORS)
    assert whole['5.num_samples'].sum() > 0 and whole['is_known'].any()
    assert whole['pos_grad'].sum() > 0
    for name, expected in whole.items():
        assert torch.equal(first[name], second[name])
        torch.testing.assert_close(first[name], expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(('detector', 'heads'), [
    ('faster', ['bbox_head']), ('cascade', [f'bbox_head.{stage}' for stage in range(3)])])
def test_a_rank_without_ground_truth_does_not_hang_and_states_stay_equal(
        detector, heads, tmp_path):
    first, second = run_two_ranks(detector, tmp_path)
    for number, head in enumerate(heads):
        assert first[f'roi_head.augmenters.{number}.distribution.is_known'].any()
        assert first[f'roi_head.{head}.loss_cls.indicator.num_samples'].sum() > 0
    for name, value in first.items():
        assert torch.equal(value, second[name]), name
