"""The benchmarks of training run, as scripts, and report what they should.

In an interpreter of its own one of them runs in test_run_all.py.
"""
import json
import os
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[3] / 'tools/benchmarks'


@pytest.fixture
def rows_of(warm_python, tmp_path):
    """Run a benchmark; return its rows by name."""

    def run(script, *arguments, cwd=BENCHMARKS.parents[1]):
        path = tmp_path / 'rows.json'
        done = warm_python.run(
            [BENCHMARKS / script, '--quick', '--json', path, *arguments],
            env=dict(os.environ, OMP_NUM_THREADS='1', CUDA_VISIBLE_DEVICES='-1'), cwd=cwd)
        assert done.returncode == 0, done.stdout[-3000:]
        return {row['name']: row for row in json.loads(path.read_text())['rows']}

    return run


@pytest.fixture
def with_data(smoke_data, tmp_path):
    """A folder with configs and Emoji-LT smoke."""
    (tmp_path / 'data/emoji_lt').mkdir(parents=True)
    (tmp_path / 'data/emoji_lt/smoke').symlink_to(smoke_data)
    (tmp_path / 'configs').symlink_to(BENCHMARKS.parents[1] / 'configs')
    return tmp_path


@pytest.mark.slow
def test_training_step(rows_of, with_data):
    rows = rows_of('training_step.py', cwd=with_data)
    ratio = rows['stage-2 step, Emoji-LT smoke, BACL / mmdet']
    assert ratio['target'] == '<= 0.8' and ratio['value'] > 0
    assert rows['stage-2 step, Emoji-LT smoke, plain BCE / mmdet']['target'] is None
    ratio = rows['fine-tuning step, Emoji-LT smoke, soft labels / plain']
    assert ratio['target'] == '<= 1.3' and ratio['value'] > 0


@pytest.mark.slow
def test_a_run_over_a_bank_and_one_on_images(rows_of, with_data):
    rows = rows_of('feature_bank.py', cwd=with_data)
    ratio = rows['run of 2 epochs and a test, Emoji-LT smoke, online / bank']
    assert ratio['target'] == '>= 20' and ratio['value'] > 1
    large = [rows[f'{what}, bank, C = 1,203']['value'] / 1000
             for what in ('stage-2 iteration', 'predictions of a batch')]
    total = rows['run of 2 epochs and a test, bank, C = 1,203']['value']
    assert total == pytest.approx(1000 * large[0] + 200 * large[1])


def test_classifier_step(rows_of):
    rows = rows_of('classifier_step.py')
    ratio = rows['classifier step, C = 50, BACL / plain BCE']
    assert ratio['target'] == '<= 1.2' and ratio['value'] > 0
    assert rows['FHM, all parts, 384 boxes, C = 50']['target'] == '<= 1'


def test_the_steps_compared_are_those_of_the_losses(load_tool):
    tool = load_tool('benchmarks/classifier_step.py')
    step = tool.Step(num_classes=30, num_objects=6)
    assert len(step.gt_labels) == 6 * 16 and (step.labels < 30).sum() == 256
    before = step.hallucinator.distribution.mean.clone()
    step.run_plain()
    assert step.plain.fc_cls.weight.grad.any()
    assert (step.hallucinator.distribution.mean == before).all()
    num_samples = step.bacl.loss_cls.indicator.num_samples.sum()
    step.run_bacl()
    assert step.bacl.fc_cls.weight.grad.any()
    assert step.bacl.loss_cls.indicator.num_samples.sum() == num_samples + 256 + 96
    assert (step.hallucinator.distribution.mean != before).any(dim=1).sum() == 6


def test_every_method_has_a_step_that_learns(load_tool):
    tool = load_tool('benchmarks/method_steps.py')
    steps = tool.all_steps(num_classes=30)
    assert next(iter(steps)) == 'ObjectnessBCELoss' and len(steps) > 30
    for name, step in steps.items():
        step()
        assert any(p.grad is not None and p.grad.any() for p in step.head.fc_cls.parameters()), name
    assert steps['EqualizationLossV2'].head.loss_cls.pos_grad.all()  # of every class before
    assert steps['MemorySampler'].augmenter.memory.num_stored.any()


@pytest.mark.dist
def test_few_bytes_travel(rows_of):
    # 24 objects of 1,203 classes on each rank, and no class twice: more than LVIS has.
    rows = rows_of('communication.py', '--num-classes', '1203')
    gradients = rows['sent in a step, C = 1203, gradients']['value']
    sent = rows['sent in a step, C = 1203, BACL, the most of the ranks']['value']
    share = rows['sent in a step, C = 1203, BACL / gradients']
    assert share['value'] == pytest.approx(100 * sent / gradients) and share['target'] == '<= 5'
    # Statistics of 24 classes, and rows of at least those 24 of the confusion matrix.
    assert 4e-6 * 24 * (2 * 1024 + 1203) < sent and share['value'] <= 5
