import importlib.util
from pathlib import Path

import bacl  # noqa: F401
import pytest
import torch

WORKER = Path(__file__).with_name('worker.py')
WATCHDOG = 120  # seconds; a hang is the fault that is looked for

pytestmark = pytest.mark.dist


def run_two_ranks(warm_python, case, out_dir, *arguments):
    done = warm_python.run([WORKER, case, out_dir, *arguments], ranks=2, timeout=WATCHDOG)
    assert done.returncode == 0, done.stdout[-3000:]
    return [torch.load(out_dir / f'{rank}.pth') for rank in range(2)]


@pytest.mark.parametrize('arguments', [[], ['as-gpu']], ids=['', 'as on a GPU'])
@pytest.mark.parametrize('border', [6, 2, 0], ids=['equal', 'unequal', 'one empty'])
def test_two_ranks_have_the_state_of_one_process_on_the_same_samples(
        warm_python, border, arguments, tmp_path):
    first, second = run_two_ranks(warm_python, str(border), tmp_path, *arguments)
    spec = importlib.util.spec_from_file_location('worker', WORKER)
    worker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(worker)
    whole = worker.observe(slice(None))
    parts = {name.split('.')[0] for name in whole if '.' in name}
    assert len(parts - {'others'}) == len(worker.INDICATORS)
    assert all(whole[f'others.{name}'].any() for name in (
        'first.feats', 'last.num_stored', 'fasa.loss_sum', 'fasa.distribution.is_known'))
    assert whole['5.num_samples'].sum() > 0 and whole['is_known'].any()
    assert whole['pos_grad'].sum() > 0 and whole['others.tde.direction'].any()
    assert whole['others.seesaw.cum_samples'].sum() > 0 and whole['others.efl.pos_grad'].all()
    assert whole['others.seesaw.confusion.matrix'].sum() > 0
    for name, expected in whole.items():
        assert torch.equal(first[name], second[name])
        torch.testing.assert_close(first[name], expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(('detector', 'heads', 'state'), [
    ('faster', ['bbox_head'], 'distribution.is_known'),
    ('cascade', [f'bbox_head.{stage}' for stage in range(3)], 'distribution.is_known'),
    ('loce', ['bbox_head'], 'memory.num_stored'), ('simcal', [], '')])
def test_a_rank_without_ground_truth_does_not_hang_and_states_stay_equal(
        warm_python, detector, heads, state, tmp_path):
    first, second = run_two_ranks(warm_python, detector, tmp_path)
    for number, head in enumerate(heads):
        assert first[f'roi_head.augmenters.{number}.{state}'].any()
        indicator = first[f'roi_head.{head}.loss_cls.indicator.' + (
            'mean_score' if detector == 'loce' else 'num_samples')]
        assert len(set(indicator.tolist())) > 1
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


def test_a_rank_without_image_level_data_does_not_hang_and_weights_stay_equal(
        warm_python, tmp_path):
    first, second = run_two_ranks(warm_python, 'image-level', tmp_path)
    assert first['roi_head.bbox_head.loss_cls.pos_grad'].sum() > 0
    assert any('semantic_branch' in name for name in first)
    for name, value in first.items():
        assert torch.equal(value, second[name]), name
