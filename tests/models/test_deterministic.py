"""Training with ``torch.use_deterministic_algorithms(True)``.

mmengine sets it for ``randomness.deterministic=True``. On a CPU every part of both stages has a
deterministic algorithm. On CUDA stage 1 has none for the gradient of RoIAlign: torchvision says so,
a compiled mmcv adds in any order without a word. Stage 2, whose extractor is frozen, needs no such
gradient. The CUDA tests need a GPU.
"""
from pathlib import Path

import bacl  # noqa: F401
import pytest
import torch
from bacl.engine.running.build import build_model
from mmdet.testing import demo_mm_inputs
from torch.utils._python_dispatch import TorchDispatchMode

CONFIGS = Path(__file__).parents[2] / 'configs'
C = 24
# On CUDA, by torch's documentation of use_deterministic_algorithms and by torchvision's sources.
WITHOUT_ALTERNATIVE = {
    '_roi_align_backward', 'avg_pool3d_backward', '_adaptive_avg_pool2d_backward',
    'adaptive_max_pool2d_backward', 'fractional_max_pool2d_backward', 'max_unpool2d',
    'upsample_linear1d_backward', 'upsample_bilinear2d_backward', 'upsample_bicubic2d_backward',
    'reflection_pad2d_backward', 'nll_loss2d_forward', '_ctc_loss_backward', 'put_', 'histc',
    'median', 'grid_sampler_2d_backward', 'scatter_reduce', 'scatter_reduce_',
}


@pytest.fixture(autouse=True)
def deterministic(monkeypatch):
    monkeypatch.setenv('CUBLAS_WORKSPACE_CONFIG', ':4096:8')  # cuBLAS demands it
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


def train(stage, device, num_steps=3):
    """Losses of some steps from a seed, and the state of model and optimizer after them."""
    torch.manual_seed(0)
    config, = CONFIGS.glob(f'*/faster-rcnn_effnet-lite0_emoji-lt-smoke_{stage}.py')
    model = build_model(str(config)).to(device).train()
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.01,
                                momentum=0.9)
    losses = []
    for step in range(num_steps):
        batch = demo_mm_inputs(2, [[3, 96, 128]] * 2, num_items=[3, 2], num_classes=C)
        torch.manual_seed(step)
        data = model.data_preprocessor(batch, training=True)
        loss, _ = model.parse_losses(model(**data, mode='loss'))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    momentum = {f'momentum.{i}': state['momentum_buffer']
                for i, state in enumerate(optimizer.state.values())}
    return torch.stack(losses), {**model.state_dict(), **momentum}


def assert_two_trainings_are_bit_equal(stage, device):
    (losses, state), (other_losses, other_state) = (train(stage, device) for _ in range(2))
    assert losses.isfinite().all() and torch.equal(losses, other_losses)
    assert 'momentum.0' in state and state.keys() == other_state.keys()
    assert [name for name, tensor in state.items()
            if not torch.equal(tensor, other_state[name])] == []
    return state


@pytest.mark.parametrize('stage', ['stage1', 'stage2-bce'])
def test_training_on_a_cpu(stage):
    assert_two_trainings_are_bit_equal(stage, 'cpu')


def test_training_on_a_cpu_with_all_that_bacl_collects():
    state = assert_two_trainings_are_bit_equal('stage2-bacl', 'cpu')
    assert state['roi_head.bbox_head.loss_cls.indicator.num_samples'].sum() > 0
    assert state['roi_head.augmenters.0.distribution.is_known'].any()


class Operators(TorchDispatchMode):
    """Collects the names of all that is computed, forward and backward."""

    def __init__(self):
        super().__init__()
        self.names = set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.names.add(function.name().split('::')[1].split('.')[0])
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize('stage, lacking', [
    ('stage1', {'_roi_align_backward'}), ('stage2-bce', set()), ('stage2-bacl', set())])
def test_which_operators_have_no_deterministic_algorithm_on_cuda(monkeypatch, stage, lacking):
    # As on a GPU, the classes that are present are not counted.
    monkeypatch.setattr('bacl.ops.class_groups.is_on_cpu', lambda tensor: False)
    with Operators() as operators:
        train(stage, 'cpu', num_steps=2)
    assert 'convolution' in operators.names and 'addmm' in operators.names
    assert operators.names & WITHOUT_ALTERNATIVE == lacking


def test_the_list_of_operators_is_that_of_torch():
    for name in WITHOUT_ALTERNATIVE - {'_roi_align_backward'}:
        assert hasattr(torch.ops.aten, name), name


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
def test_stage_2_on_cuda():
    assert_two_trainings_are_bit_equal('stage2-bacl', 'cuda')


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
def test_stage_1_on_cuda_says_that_roi_align_has_no_deterministic_gradient():
    with pytest.raises(RuntimeError, match='roi_align_backward_kernel does not have a determin'):
        train('stage1', 'cuda')
