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
    whole = worker.observe(slice(0, border), slice(border, 12))
    numbers = {name.split('.')[0] for name in whole if name[0].isdigit()}
    assert len(numbers) == len(worker.INDICATORS)
    assert all(whole[f'others.{name}'].any() for name in (
        'first.feats', 'last.num_stored', 'fasa.loss_sum', 'fasa.distribution.is_known'))
    assert whole['5.num_samples'].sum() > 0 and whole['is_known'].any()
    assert whole['pos_grad'].sum() > 0 and whole['others.tde.direction'].any()
    assert whole['others.seesaw.cum_samples'].sum() > 0 and whole['others.efl.pos_grad'].all()
    assert whole['others.rog.num_samples'].sum() > 0
    assert whole['others.seesaw.confusion.matrix'].sum() > 0
    assert len(set(whole['others.fasa.probability'].tolist())) > 1  # classes were adapted
    assert whole['iterative.confusion.matrix'].any() and whole['simcal.loss'] > 0
    assert whole['meta.meta_logit'].all()
    assert whole['contrast.loss'] > 0 and whole['contrast.grad'].all()
    for name, expected in whole.items():
        assert torch.equal(first[name], second[name])
        torch.testing.assert_close(first[name], expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(('detector', 'collected'), [
    ('faster', ['augmenters.0.distribution.is_known', 'bbox_head.loss_cls.indicator.num_samples']),
    ('cascade', [name for stage in range(3) for name in (
        f'augmenters.{stage}.distribution.is_known',
        f'bbox_head.{stage}.loss_cls.indicator.num_samples')]),
    ('loce', ['augmenters.0.memory.num_stored', 'bbox_head.loss_cls.indicator.mean_score']),
    ('pcb', ['bbox_head.loss_cls.confusion.matrix']),
    ('meta', ['bbox_head.loss_cls.meta_logit']),
    ('simcal', ['calibration_heads.0.fc_cls.bias'])])
def test_a_rank_without_ground_truth_does_not_hang_and_states_stay_equal(
        warm_python, detector, collected, tmp_path):
    first, second = run_two_ranks(warm_python, detector, tmp_path)
    for name in collected:
        assert len(set(first[f'roi_head.{name}'].flatten().tolist())) > 1, name
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


@pytest.mark.parametrize(('case', 'part'), [
    ('image-level', 'semantic_branch'), ('image-level-centernet', 'semantic_branch'),
    ('image-level-dino', 'semantic_branch'), ('image-level-clis', 'projection')])
def test_a_rank_without_image_level_data_does_not_hang_and_weights_stay_equal(
        warm_python, case, part, tmp_path):
    first, second = run_two_ranks(warm_python, case, tmp_path)
    if case != 'image-level-dino':
        head = 'bbox_head.1' if case == 'image-level-centernet' else 'bbox_head'
        assert first[f'roi_head.{head}.loss_cls.pos_grad'].sum() > 0
    assert any(part in name for name in first)
    for name, value in first.items():
        assert value.isfinite().all() and torch.equal(value, second[name]), name
