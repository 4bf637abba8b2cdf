import itertools
import os

import bacl  # noqa: F401
import pytest
import torch
from bacl.engine.hooks import AtomicCheckpointHook
from bacl.engine.running.work_dir import find_checkpoint
from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.hooks import CheckpointHook
from mmengine.model import BaseModel
from mmengine.runner import Runner

NUMBER = itertools.count()  # mmengine keeps what belongs to a name


class Model(BaseModel):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))

    def forward(self, x, mode='tensor'):
        return dict(loss=(self.weight - 1).square()) if mode == 'loss' else [x]


class Scores(BaseMetric):
    """What the validations give, one after the other."""

    def __init__(self, scores):
        super().__init__()
        self.scores = iter(scores)

    def process(self, data_batch, data_samples):
        self.results += data_batch

    def compute_metrics(self, results):
        score = next(self.scores)
        return score if isinstance(score, dict) else dict(acc=score)


def train(work_dir, hook, max_epochs=4, scores=None, **kwargs):
    """Train; the hook is an AtomicCheckpointHook or one of mmengine's."""
    loader = dict(dataset=[dict(x=torch.ones(()))] * 2, batch_size=1, num_workers=0,
                  sampler=dict(type='DefaultSampler', shuffle=False))
    validation = {} if scores is None else dict(
        val_dataloader=loader, val_cfg=dict(), val_evaluator=Evaluator([Scores(scores)]))
    Runner(Model(), str(work_dir), loader,
           train_cfg=dict(by_epoch=True, max_epochs=max_epochs), default_scope='mmengine',
           optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)), **validation,
           default_hooks=dict(checkpoint=hook),
           experiment_name=f'atomic_{next(NUMBER)}', **kwargs).train()


def checkpoints(work_dir):
    """The weight in each checkpoint of a work_dir, and what the pointer says."""
    weights = {path.name: torch.load(path, weights_only=False)['state_dict']['weight'].item()
               for path in work_dir.glob('*.pth')}
    pointer = work_dir / 'last_checkpoint'
    return weights | {pointer.name: pointer.read_text().replace(str(work_dir), '')}


@pytest.mark.parametrize('options', [
    dict(interval=1), dict(interval=2, max_keep_ckpts=1), dict(interval=1, max_keep_ckpts=2),
    dict(interval=3, by_epoch=False, max_keep_ckpts=1), dict(interval=-1),
    dict(interval=1, max_keep_ckpts=1, save_best='acc', rule='greater')], ids=str)
def test_what_is_there_in_the_end_is_what_mmengine_leaves(tmp_path, options):
    scores = [3, 1, 2, 4] if 'save_best' in options else None
    for name, hook in (('ours', AtomicCheckpointHook), ('theirs', CheckpointHook)):
        (tmp_path / name).mkdir()
        train(tmp_path / name, hook(**options), scores=scores)
    ours, theirs = checkpoints(tmp_path / 'ours'), checkpoints(tmp_path / 'theirs')
    assert len(ours) >= 2 and ours == theirs


def test_resumed_run_goes_on_removing(tmp_path):
    for max_epochs in (2, 5):
        train(tmp_path, AtomicCheckpointHook(interval=1, max_keep_ckpts=2), max_epochs,
              resume=max_epochs > 2)
    assert set(checkpoints(tmp_path)) == {'epoch_4.pth', 'epoch_5.pth', 'last_checkpoint'}


def fail_on(monkeypatch, name, number):
    """Let the disk be full when a file of that name is written for the n-th time."""
    replace, times = os.replace, itertools.count(1)

    def fail(source, target):
        if os.path.basename(target) == name and next(times) == number:
            raise OSError(28, 'No space left on device', target)
        replace(source, target)

    monkeypatch.setattr(os, 'replace', fail)


@pytest.mark.parametrize('name, number, left', [
    ('epoch_3.pth', 1, 'epoch_2.pth'), ('last_checkpoint', 3, 'epoch_2.pth'),
    ('best_acc_epoch_1.pth', 1, 'epoch_1.pth')])
def test_failure_says_what_is_left_and_removes_nothing(tmp_path, monkeypatch, name, number, left):
    fail_on(monkeypatch, name, number)
    options = dict(save_best='acc', rule='greater') if 'best' in name else {}
    hook = AtomicCheckpointHook(interval=1, max_keep_ckpts=1, **options)
    error = rf'cannot be written to {tmp_path}: No space left on device .*{name}.* complete: ' \
            rf'{tmp_path / left}\. Make room'
    with pytest.raises(RuntimeError, match=error):
        train(tmp_path, hook, scores=[1] * 4 if options else None)
    assert find_checkpoint(tmp_path) == tmp_path / left
    torch.load(tmp_path / left, weights_only=False)
    assert not list(tmp_path.glob('*.partial'))


def test_failure_of_the_first_checkpoint_says_that_there_is_none(tmp_path, monkeypatch):
    fail_on(monkeypatch, 'epoch_1.pth', 1)
    with pytest.raises(RuntimeError, match='No checkpoint was written before'):
        train(tmp_path, AtomicCheckpointHook(interval=1))


@pytest.mark.parametrize('save_best', ['acc', 'auto', ['acc', 'other']])
def test_best_checkpoint_goes_when_the_better_one_is_complete(tmp_path, monkeypatch, save_best):
    seen = []
    write = Runner.save_checkpoint

    def spy(runner, out_dir, filename, *args, **kwargs):
        seen.append(sorted(path.name for path in tmp_path.glob('best_*')))
        write(runner, out_dir, filename, *args, **kwargs)

    monkeypatch.setattr(Runner, 'save_checkpoint', spy)
    scores = [dict(acc=0.1, other=0.5), dict(acc=0.3, other=0.4), dict(acc=0.2, other=0.3)]
    train(tmp_path, AtomicCheckpointHook(save_best=save_best, rule='greater'), 3,
          scores)
    others = ['best_other_epoch_1.pth'] if isinstance(save_best, list) else []
    assert sorted(path.name for path in tmp_path.glob('best_*')) == [
        'best_acc_epoch_2.pth', *others]
    # While the second was written, the first was there.
    assert ['best_acc_epoch_1.pth', *others] in seen


@pytest.mark.parametrize('save_best, scores', [
    ('auto', [0.1, 0.3, 0.2]), ('lvis/bbox_fixed_APr', [0.1, 0.3, 0.2]), ('loss', [0.3, 0.1, 0.2])])
def test_best_by_a_metric_of_ours_needs_no_rule(tmp_path, save_best, scores):
    name = 'coco_lt/segm_AP' if save_best == 'auto' else save_best
    train(tmp_path, AtomicCheckpointHook(save_best=save_best), 3,
          [{name: score, 'other': 1} for score in scores])
    best = [path.name for path in tmp_path.glob('best_*')]
    assert best == [f'best_{name.replace("/", "_")}_epoch_2.pth']
