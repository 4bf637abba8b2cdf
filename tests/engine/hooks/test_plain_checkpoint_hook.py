from itertools import count

import bacl  # noqa: F401
import numpy as np
import pytest
import torch
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch.utils.data import Dataset

run_numbers = count()


class Numbers(Dataset):
    metainfo = dict(classes=('a', 'b'), palette=np.arange(6).reshape(2, 3))

    def __len__(self):
        return 8

    def __getitem__(self, index):
        return torch.full((2,), float(index))


class Shrink(BaseModel):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(2, 1)

    def forward(self, inputs, mode='tensor'):
        output = self.layer(torch.stack(inputs))
        return dict(loss=output.square().mean()) if mode == 'loss' else [output]

    def train_step(self, data, optim_wrapper):
        loss = self(data, mode='loss')['loss']
        optim_wrapper.update_params(loss)
        return dict(loss=loss)

    def val_step(self, data):
        return self(data)


class HalfAP(BaseMetric):
    default_prefix = 'toy'

    def process(self, data_batch, data_samples):
        self.results.append(1)

    def compute_metrics(self, results):
        return dict(AP=np.float64(0.5))


class LateWriter(Hook):
    """Puts an array into the checkpoint as late as CheckpointHook itself."""

    priority = 'VERY_LOW'

    def before_save_checkpoint(self, runner, checkpoint):
        checkpoint['late'] = np.arange(3)


def build_runner(work_dir, plain=True, max_epochs=4, **kwargs):
    torch.manual_seed(0)
    loader = dict(
        dataset=Numbers(), batch_size=2, sampler=dict(type='DefaultSampler', shuffle=False)
    )
    return Runner(
        model=Shrink(),
        work_dir=str(work_dir),
        train_dataloader=loader,
        val_dataloader=loader,
        train_cfg=dict(by_epoch=True, max_epochs=max_epochs),
        val_cfg=dict(),
        val_evaluator=[HalfAP()],
        optim_wrapper=dict(optimizer=dict(type='AdamW', lr=0.1)),
        param_scheduler=[
            dict(type='MultiStepLR', milestones=[1, 3]),
            dict(type='LinearLR', start_factor=0.1, by_epoch=False, end=3),
        ],
        default_hooks=dict(
            checkpoint=dict(type='CheckpointHook', interval=1, save_best='toy/AP', rule='greater'),
            logger=dict(type='LoggerHook', interval=1),
        ),
        custom_hooks=[dict(type='PlainCheckpointHook'), LateWriter()] if plain else [],
        default_scope='mmdet',
        experiment_name=f'plain_checkpoint_{next(run_numbers)}',
        log_level='WARNING',
        **kwargs,
    )


@pytest.fixture(scope='module')
def plain_run(tmp_path_factory):
    runner = build_runner(tmp_path_factory.mktemp('plain'))
    runner.train()
    return runner


def load_stopped_run(runner, filename):
    """Resume a checkpoint in a fresh runner, without training on."""
    resumed = build_runner(runner.work_dir)
    resumed._train_loop = resumed.build_train_loop(resumed._train_loop)
    resumed.optim_wrapper = resumed.build_optim_wrapper(resumed.optim_wrapper)
    resumed.param_schedulers = resumed.build_param_scheduler(resumed.param_schedulers)
    resumed.resume(f'{runner.work_dir}/{filename}')
    return resumed


def test_checkpoint_loads_with_weights_only(plain_run):
    for name in ('best_toy_AP_epoch_1.pth', 'epoch_4.pth'):
        checkpoint = torch.load(f'{plain_run.work_dir}/{name}', weights_only=True)
        assert checkpoint['message_hub']['runtime_info']['dataset_meta']['classes'] == ('a', 'b')
    state_dict = checkpoint['state_dict']
    assert torch.equal(state_dict['layer.weight'], plain_run.model.layer.weight.detach())
    assert state_dict._metadata  # attached by Module.state_dict


def test_message_hub_is_the_same_after_resuming(plain_run):
    resumed = load_stopped_run(plain_run, 'epoch_4.pth')
    original, restored = plain_run.message_hub, resumed.message_hub
    assert len(original.log_scalars) >= 5
    for name, history in original.log_scalars.items():
        # The last validation comes after the checkpoint was written.
        for actual, expected in zip(restored.log_scalars[name].data, history.data, strict=True):
            assert actual.tolist() == expected.tolist()[: len(actual)]
            assert name.startswith('val/') or len(actual) == len(expected)
    for name in ('epoch', 'iter', 'max_iters', 'best_score', 'dataset_meta'):
        np.testing.assert_equal(restored.runtime_info[name], original.runtime_info[name])


def test_resumed_run_equals_the_uninterrupted_one(plain_run, tmp_path):
    checkpoint = f'{plain_run.work_dir}/epoch_2.pth'
    resumed = build_runner(tmp_path, resume=True, load_from=checkpoint)
    resumed.train()
    assert torch.equal(plain_run.model.layer.weight, resumed.model.layer.weight)
    curves = [runner.message_hub.get_scalar('train/loss').data for runner in (plain_run, resumed)]
    assert len(curves[0][0]) == 16
    np.testing.assert_array_equal(curves[0], curves[1])


def test_restored_checkpoint_holds_arrays_again(plain_run):
    runner = build_runner(plain_run.work_dir)
    checkpoint = runner.load_checkpoint(f'{plain_run.work_dir}/epoch_4.pth')
    assert np.array_equal(checkpoint['late'], [0, 1, 2])
    assert np.array_equal(checkpoint['meta']['dataset_meta']['palette'], [[0, 1, 2], [3, 4, 5]])


def test_bare_state_dict_passes_through(plain_run, tmp_path):
    torch.save(torch.nn.Sequential().state_dict(), tmp_path / 'bare.pth')
    checkpoint = build_runner(tmp_path).load_checkpoint(str(tmp_path / 'bare.pth'))
    assert checkpoint == {}


@pytest.mark.parametrize('plain', [True, False])
def test_run_of_stock_mmengine_resumes_without_its_history(tmp_path, plain):
    stock = build_runner(tmp_path, plain=False)
    stock.train()
    checkpoint = str(tmp_path / 'epoch_2.pth')
    resumed = build_runner(tmp_path / 'resumed', plain, resume=True, load_from=checkpoint)
    resumed.train()
    assert torch.equal(stock.model.layer.weight, resumed.model.layer.weight)
    assert len(stock.message_hub.get_scalar('train/loss').data[0]) == 16
    assert len(resumed.message_hub.get_scalar('train/loss').data[0]) == 8
    assert resumed.message_hub.get_info('best_score') == 0.5
