import mmengine.device.utils as mmengine_device
import pytest
import torch
from bacl.engine.running.amp import BFloat16OptimWrapper, prepare_amp
from bacl.engine.running.config_types import resolve_type
from mmdet.registry import OPTIM_WRAPPERS
from mmengine.config import Config


def config(**wrapper):
    return Config(dict(optim_wrapper=dict(
        dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=1.0)), **wrapper)))


@pytest.mark.parametrize('device, dtype, wrapper', [
    ('cuda', 'auto', dict(type='AmpOptimWrapper', loss_scale='dynamic', dtype='float16')),
    ('cuda', 'float16', dict(type='AmpOptimWrapper', loss_scale='dynamic', dtype='float16')),
    ('cuda', 'bfloat16', dict(type='mmdet.BFloat16OptimWrapper')),
    ('cpu', 'auto', dict(type='mmdet.BFloat16OptimWrapper')),
    ('mps', 'bfloat16', dict(type='mmdet.BFloat16OptimWrapper'))])
def test_precision_fits_the_device(monkeypatch, device, dtype, wrapper):
    monkeypatch.setattr(mmengine_device, 'DEVICE', device)
    for cfg in (config(), config(type='AmpOptimWrapper', loss_scale=512.0, dtype='float16')):
        prepare_amp(cfg, dtype)
        assert cfg.optim_wrapper.to_dict() == dict(wrapper, optimizer=dict(type='SGD', lr=1.0))
        for scope in ('mmdet', 'mmengine'):
            assert resolve_type(cfg.optim_wrapper, OPTIM_WRAPPERS, scope) is not None


def test_float16_without_a_gpu_and_unknown_types_are_refused(monkeypatch):
    monkeypatch.setattr(mmengine_device, 'DEVICE', 'cpu')
    with pytest.raises(ValueError, match=r'--amp float16 expects a GPU.* --amp bfloat16\.'):
        prepare_amp(config(), 'float16')
    with pytest.raises(ValueError, match=r"--amp expects one of .*got 'float8'"):
        prepare_amp(config(), 'float8')


def test_forward_is_bfloat16_and_everything_else_float32(monkeypatch):
    monkeypatch.setattr(mmengine_device, 'DEVICE', 'cpu')
    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    wrapper = BFloat16OptimWrapper(optimizer=optimizer)
    with wrapper.optim_context(model):
        output = model(torch.ones(4, 3))
    assert output.dtype == torch.bfloat16
    wrapper.update_params(output.float().sum())
    state = optimizer.state[model.weight]['momentum_buffer']
    assert state.dtype == model.weight.dtype == torch.float32
    assert torch.equal(state, torch.full((2, 3), 4.0))
