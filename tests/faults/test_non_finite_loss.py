"""A loss that is not finite stops the run, or the batch is left out and counted."""
import pytest
import torch

BATCH_OF_2 = '--cfg-options', 'train_dataloader.batch_size=2'


def hooks(max_skipped=0, **fault):
    return 'default_hooks = ' + repr(dict(
        fault=fault, logger=dict(interval=1), finite_loss=dict(max_skipped=max_skipped)))


@pytest.fixture
def arguments(stage1_run):
    """Arguments of tools/train.py by stage."""
    return {'stage1': [], 'stage2-bacl': ['--stage1-checkpoint', stage1_run / 'epoch_3.pth']}


def last_error(output):
    return [line for line in output.splitlines() if 'NonFiniteLossError: ' in line][-1]


@pytest.mark.parametrize('stage', ['stage1', 'stage2-bacl'])
def test_run_stops_and_names_terms_iteration_and_images(project, faults, arguments, stage):
    # Iteration 5, the second of epoch 2.
    config = project.config(stage, hooks(type='NaNImageHook', iterations=[4]), max_epochs=3)
    work_dir = project.folder / 'run'
    code, output = project.run(config, work_dir, *arguments[stage])
    assert code == 1
    error = last_error(output)
    assert 'Loss not finite in iteration 5 (epoch 2), rank 0: loss_rpn_cls = nan' in error
    assert 'loss_cls = nan' in error
    images = faults.read(work_dir / 'before.pth')['images']
    assert len(images) == 4 and all(image in error for image in images)
    assert f'The newest checkpoint is from before: {work_dir}/epoch_1.pth.' in error
    assert 'default_hooks.finite_loss.max_skipped=10' in error
    assert [path.name for path in work_dir.glob('epoch_*')] == ['epoch_1.pth']
    state = faults.read(work_dir / 'epoch_1.pth')['state_dict']
    assert all(torch.isfinite(tensor).all() for tensor in state.values())


def test_batch_that_is_left_out_leaves_no_trace(project, faults, arguments):
    # The last iteration of the epoch: the checkpoint shows the state after it.
    config = project.config('stage2-bacl', hooks(2, type='NaNImageHook', iterations=[2]))
    output = project.train(config, project.folder / 'run', *arguments['stage2-bacl'])
    warning = next(line for line in output.splitlines() if 'The batch is left out' in line)
    assert 'iteration 3 (epoch 1), rank 0: loss_rpn_cls = nan' in warning
    assert warning.endswith('1 of at most 2.')
    before = faults.read(project.folder / 'run/before.pth')
    after = faults.read(project.folder / 'run/epoch_1.pth')
    for part in ('state_dict', 'optimizer'):
        # All but the learning rate, whose schedule goes on.
        differ = faults.differences(before[part], after[part])
        assert [d for d in differ if not d.endswith('.lr')] == []
    assert after['message_hub']['runtime_info']['num_skipped_batches'] == 1
    # The smoothed loss in the log is that of the other batches.
    step = next(line for line in output.splitlines() if '[3/3]' in line)
    assert 'loss: ' in step and 'grad_norm: ' in step and 'nan' not in step


def test_count_goes_on_after_a_resume_and_the_limit_holds(project, arguments):
    work_dir = project.folder / 'run'
    for max_epochs, iteration in ((1, 1), (2, 4)):
        config = project.config('stage1', hooks(2, type='NaNImageHook', iterations=[iteration]),
                                max_epochs=max_epochs)
        output = project.train(config, work_dir, *(['--resume'] if max_epochs > 1 else []))
    assert '2 of at most 2.' in output
    config = project.config('stage1', hooks(2, type='NaNImageHook', iterations=[7]), max_epochs=3)
    code, output = project.run(config, work_dir, '--resume')
    assert code == 1
    assert 'iteration 8 (epoch 3)' in last_error(output)
    assert 'max_skipped=12' in last_error(output)


def test_weights_that_are_not_finite_are_never_saved(project, faults):
    # The loss of the last step of epoch 2 is finite, its gradient is not.
    config = project.config('stage1', hooks(type='NaNGradientHook', iteration=5), max_epochs=3)
    work_dir = project.folder / 'run'
    code, output = project.run(config, work_dir)
    assert code == 1
    assert 'Weights not finite after epoch 2 (' in last_error(output)
    assert [path.name for path in work_dir.glob('epoch_*')] == ['epoch_1.pth']

    # In the step before, the next loss tells.
    config = project.config('stage1', hooks(9, type='NaNGradientHook', iteration=4), max_epochs=3)
    code, output = project.run(config, work_dir, '--resume')
    assert code == 1
    assert 'Loss not finite in iteration 6 (epoch 2)' in last_error(output)
    assert 'The weights were not finite before it (' in last_error(output)


@pytest.mark.dist
def test_all_ranks_stop_for_the_batch_of_one(project, faults, arguments):
    config = project.config('stage2-bacl', hooks(type='NaNImageHook', iterations=[1], rank=1))
    code, output = project.run(config, project.folder / 'run', *arguments['stage2-bacl'],
                               *BATCH_OF_2, processes=2)
    assert code != 0
    errors = {line.split('NonFiniteLossError: ')[1] for line in output.splitlines()
              if 'NonFiniteLossError: ' in line}
    assert len(errors) == 1
    error = errors.pop()
    assert 'iteration 2 (epoch 1), rank 1: loss_rpn_cls = nan' in error
    # Both ranks hallucinate from what both have seen.
    assert 'rank 0: loss_cls = nan' in error
    assert 'rank 0: loss_rpn_cls' not in error
    images = faults.read(project.folder / 'run/before.pth')['images']
    assert len(images) == 2 and all(image in error for image in images)


@pytest.mark.dist
def test_all_ranks_leave_the_batch_of_one_out(project, faults, arguments):
    fault = dict(type='NaNImageHook', iterations=[2], rank=1)
    config = project.config('stage2-bacl', hooks(1, **fault))
    output = project.train(config, project.folder / 'run', *arguments['stage2-bacl'],
                           *BATCH_OF_2, processes=2)
    assert 'rank 1: loss_rpn_cls = nan' in output and '1 of at most 1.' in output
    before = faults.read(project.folder / 'run/before.pth')['state_dict']  # of rank 1
    after = faults.read(project.folder / 'run/epoch_1.pth')['state_dict']  # of rank 0
    own = 'num_active', 'num_negatives'
    for name, tensor in after.items():
        if not name.endswith(own):
            assert torch.equal(tensor, before[f'module.{name}']), name
