import importlib.util
from pathlib import Path
from types import SimpleNamespace

import bacl  # noqa: F401
import numpy as np
import pytest
import torch
from bacl.engine.hooks import ImbalanceHook
from bacl.engine.hooks.imbalance_hook import RECORD_NAME, box_heads
from bacl.engine.probing.training_record import TrainingRecord
from mmdet.registry import HOOKS
from torch import nn

WORKER = Path(__file__).with_name('imbalance_worker.py')
WATCHDOG = 200  # seconds


@pytest.fixture(scope='module')
def worker():
    spec = importlib.util.spec_from_file_location('imbalance_worker', WORKER)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def trained(worker, name, work_dir, hook, **kwargs):
    run = worker.runner(worker.detector(name), work_dir, worker.batches())
    worker.train(run, hook, **kwargs)
    return run


@pytest.mark.parametrize('name', ['stage1', 'stage2', 'cascade'])
def test_training_is_bit_by_bit_the_same_and_the_record_is_complete(worker, name, tmp_path):
    plain = worker.state_bytes(trained(worker, name, tmp_path, None).model)
    assert not list(tmp_path.iterdir())
    run = trained(worker, name, tmp_path, ImbalanceHook(interval=2))
    assert worker.state_bytes(run.model) == plain
    record = TrainingRecord.load(tmp_path / RECORD_NAME)
    num_stages = 3 if name == 'cascade' else 1
    assert record.stages.tolist() == (['s0', 's1', 's2'] if name == 'cascade' else [''])
    assert record.gradient_of == ('features' if name == 'stage1' else 'parameters')
    assert record.num_batches == [3] and record.num_images == [6]
    assert (record.first_iteration, record.last_iteration) == ([1], [3])
    assert record.iteration.tolist() == [2, 3]
    assert record.positives.shape == (1, num_stages, worker.NUM_CLASSES)
    positives = record.positives.sum(-1)
    assert (positives > 0).all()
    assert (positives == record.level_positives.sum(-1)).all()
    assert (positives == record.iou_count.sum(-1) + record.added_count).all()
    assert (record.negatives == record.level_negatives.sum(-1)).all()
    assert record.hallucinated.any() == (name != 'stage1')
    assert (record.batches_with_class <= record.positives).all()
    assert (record.regression_loss.sum(-1) + record.added_regression_loss > 0).all()
    assert np.isfinite(record.loss).all() and (record.gradient_norm > 0).any(0).all()
    prefix = ['s0.', 's1.', 's2.'] if name == 'cascade' else ['']
    assert set(record.terms.tolist()) == {'loss_rpn_cls', 'loss_rpn_bbox'} | {
        f'{stage}loss_{kind}' for stage in prefix for kind in ('cls', 'bbox')}


def test_a_batch_of_image_level_data_has_no_rois_that_count(worker, tmp_path):
    run = worker.runner(worker.detector('stage1'), tmp_path, worker.batches())
    first, second, _ = run.train_dataloader
    for sample in (*first['data_samples'], second['data_samples'][0]):  # the second is mixed
        sample.set_metainfo(dict(source='image_level'))
    worker.train(run, ImbalanceHook(interval=1))
    record = TrainingRecord.load(tmp_path / RECORD_NAME)
    assert record.num_batches == [2] and record.num_images == [4]
    assert np.isnan(record.positives_per_image[:, 0]).tolist() == [True, False, False]
    assert np.isfinite(record.loss).all()


def test_nothing_stays_on_the_model(worker, tmp_path):
    run = worker.runner(worker.detector('stage2'), tmp_path, worker.batches())

    def traces():
        return [(name, [key for key, value in vars(module).items() if callable(value)],
                 len(module._forward_hooks)) for name, module in run.model.named_modules()]

    before = traces()
    worker.train(run, ImbalanceHook(), on_step=lambda _: traces() == before or pytest.fail())


def test_numbers_are_those_of_the_batches(worker, tmp_path):
    """Against the host's own sampling results, losses and a backward pass for each term."""
    run = worker.runner(worker.detector('stage2'), tmp_path, worker.batches())
    model, seen, expected = run.model, [], []
    sample = model.roi_head.bbox_sampler.sample
    model.roi_head.bbox_sampler.sample = lambda *args, **kwargs: seen.append(
        sample(*args, **kwargs)) or seen[-1]
    parse = model.parse_losses

    def parse_and_keep(losses):
        total, log_vars = parse(losses)
        norms = []
        for name in ('loss_rpn_cls', 'loss_rpn_bbox', 'loss_cls', 'loss_bbox'):
            model.zero_grad()
            log_vars[name].backward(retain_graph=True)
            norms.append(torch.cat([p.grad.flatten() for p in model.parameters()
                                    if p.grad is not None]).norm().item())
        model.zero_grad()
        expected.append(([log_vars[name].item() for name in (
            'loss_rpn_cls', 'loss_rpn_bbox', 'loss_cls', 'loss_bbox')], norms))
        return total, log_vars

    model.parse_losses = parse_and_keep
    worker.train(run, ImbalanceHook(interval=2))
    record = TrainingRecord.load(tmp_path / RECORD_NAME)

    positives = np.zeros(worker.NUM_CLASSES, dtype=int)
    for result in seen:
        for label in result.pos_gt_labels.tolist():
            positives[label] += 1
    assert record.positives[0, 0].tolist() == positives.tolist()
    assert record.negatives[0, 0] == sum(len(result.neg_priors) for result in seen)
    assert record.added_count[0, 0] == sum(int(result.pos_is_gt.sum()) for result in seen)
    # Two images a step; windows are steps 1 and 2, and 3.
    per_step = [[result.pos_gt_labels.tolist() for result in seen[2 * i:2 * i + 2]]
                for i in range(3)]
    counts = [sum(map(len, step)) for step in per_step]
    classes = [len({label for image in step for label in image}) for step in per_step]
    assert record.positives_per_image[:, 0] == pytest.approx(
        [(counts[0] + counts[1]) / 4, counts[2] / 2])
    assert record.classes_per_batch[:, 0] == pytest.approx(
        [(classes[0] + classes[1]) / 2, classes[2]])
    losses, norms = (np.array(values) for values in zip(*expected, strict=True))
    assert record.terms.tolist() == ['loss_rpn_cls', 'loss_rpn_bbox', 'loss_cls', 'loss_bbox']
    np.testing.assert_allclose(record.loss, [losses[:2].mean(0), losses[2]], rtol=1e-5)
    np.testing.assert_allclose(record.gradient_norm, norms[1:], rtol=1e-4)


def test_gradients_of_features_are_those_of_the_shared_maps(worker, tmp_path):
    run = worker.runner(worker.detector('stage1'), tmp_path, worker.batches((2, )))
    model, kept = run.model, []
    extract, parse = model.extract_feat, model.parse_losses

    def extract_and_keep(images):
        kept.extend(extract(images))
        return tuple(kept)

    def parse_and_measure(losses):
        total, log_vars = parse(losses)
        gradients = torch.autograd.grad(log_vars['loss_cls'], kept[:3], retain_graph=True)
        kept[:] = [sum(gradient.square().sum() for gradient in gradients).sqrt().item()]
        return total, log_vars

    model.extract_feat, model.parse_losses = extract_and_keep, parse_and_measure
    worker.train(run, ImbalanceHook())
    record = TrainingRecord.load(tmp_path / RECORD_NAME)
    position = record.terms.tolist().index('loss_cls')
    assert record.gradient_norm[0, position] == pytest.approx(kept[0], rel=1e-4)


def test_scalars_are_grouped_and_shares_add_up(worker, tmp_path):
    run = trained(worker, 'cascade', tmp_path, ImbalanceHook(interval=3))
    logged = {name: value.current() for name, value in run.message_hub.log_scalars.items()}
    for stage in range(3):
        for name in ('positives_per_image', 'negatives_per_image', 'classes_per_batch'):
            assert logged[f'train/imbalance/s{stage}.{name}'] >= 0
    for kind in ('value_share', 'gradient_share'):
        shares = [v for k, v in logged.items() if k.startswith(f'train/imbalance/{kind}_')]
        assert len(shares) == 8 and sum(shares) == pytest.approx(1)
    # mmengine averages what has one of these in its name over many entries.
    assert not any(word in name for name in logged for word in ('loss', 'time', 'grad_norm'))


def test_nothing_is_logged_between_the_intervals(worker, tmp_path):
    run = trained(worker, 'stage2', tmp_path, ImbalanceHook(interval=5))
    assert not run.message_hub.log_scalars
    assert TrainingRecord.load(tmp_path / RECORD_NAME).iteration.tolist() == [3]


def test_a_resumed_run_goes_on_with_the_record(worker, tmp_path):
    run = trained(worker, 'stage2', tmp_path, ImbalanceHook(interval=2), num_epochs=2)
    first = TrainingRecord.load(tmp_path / RECORD_NAME)
    run.iter = 3  # as if the second epoch had been lost
    worker.train(run, ImbalanceHook(interval=2))
    record = TrainingRecord.load(tmp_path / RECORD_NAME)
    assert record.last_iteration.tolist() == [3, 6]
    assert record.iteration.tolist() == [2, 3, 5, 6]
    assert (record.positives[0] == first.positives[0]).all()
    # A run that is not resumed does not take up what lies in its work_dir.
    run.iter = 0
    worker.train(run, ImbalanceHook(interval=2))
    assert TrainingRecord.load(tmp_path / RECORD_NAME).last_iteration.tolist() == [3]


def test_a_record_of_other_classes_is_started_anew(worker, tmp_path):
    run = trained(worker, 'stage2', tmp_path, ImbalanceHook())
    trained(worker, 'cascade', tmp_path, ImbalanceHook())
    worker.train(run, ImbalanceHook())
    assert TrainingRecord.load(tmp_path / RECORD_NAME).last_iteration.tolist() == [6]


def test_a_batch_that_was_left_out_has_no_losses(worker, tmp_path):
    run = worker.runner(worker.detector('stage2'), tmp_path, worker.batches())
    hook, after = ImbalanceHook(interval=1), ImbalanceHook.after_train_iter

    def leave_out_the_second(run, batch_idx, data, outputs):
        if batch_idx == 1:
            outputs.clear()
        after(hook, run, batch_idx, data, outputs)

    hook.after_train_iter = leave_out_the_second
    worker.train(run, hook)
    record = TrainingRecord.load(tmp_path / RECORD_NAME)
    assert np.isnan(record.loss).all(1).tolist() == [False, True, False]


@pytest.mark.dist
def test_ranks_are_summed_and_train_as_without_the_hook(warm_python, tmp_path):
    done = warm_python.run([WORKER, tmp_path], ranks=2, timeout=WATCHDOG)
    assert done.returncode == 0, done.stdout[-3000:]
    assert all(torch.load(tmp_path / f'{rank}.pth')['is_equal'] for rank in range(2))
    record = TrainingRecord.load(tmp_path / RECORD_NAME)
    assert record.num_batches == [6] and record.num_images == [12]
    assert record.iteration.tolist() == [2, 3]
    # Six images a rank, each with 64 RoIs unless it has fewer proposals.
    assert 64 * 6 < record.positives.sum() + record.negatives.sum() <= 64 * 12


def test_models_without_box_heads_are_refused():
    with pytest.raises(RuntimeError, match='ImbalanceHook needs a detector .* got Linear'):
        box_heads(nn.Linear(2, 2))
    with pytest.raises(ValueError, match='interval='):
        ImbalanceHook(interval=0)
    assert isinstance(HOOKS.build(dict(type='ImbalanceHook')), ImbalanceHook)


def test_a_roi_head_that_never_asks_its_box_heads_is_named(worker, tmp_path):
    run = worker.runner(worker.detector('stage2'), tmp_path, worker.batches())
    run.model.train_step = lambda data, optim_wrapper: {}
    with pytest.raises(RuntimeError, match='does not call loss_and_target'):
        worker.train(run, ImbalanceHook())


def test_no_config_has_the_hook():
    configs = [*Path('configs').rglob('*.py')]
    assert configs and not any('ImbalanceHook' in path.read_text() for path in configs)


def test_loss_is_scaled_for_float16_and_the_norms_are_not(worker, tmp_path):
    norms = []
    for scale in (None, 1024.0):
        run = worker.runner(worker.detector('stage2'), tmp_path, worker.batches((2, )))
        if scale:
            run.optim_wrapper.loss_scaler = SimpleNamespace(get_scale=lambda scale=scale: scale)
        worker.train(run, ImbalanceHook())
        norms.append(TrainingRecord.load(tmp_path / RECORD_NAME).gradient_norm)
    np.testing.assert_allclose(*norms, rtol=1e-5)
