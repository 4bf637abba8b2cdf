import importlib.util
import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# A model of one weight that learns y = 2 x; rank r of w sees the samples r, r + w, ...
TOY_MODULE = '''
import torch
from mmengine.dataset import BaseDataset
from mmengine.evaluator import BaseMetric
from mmengine.model import BaseModel
from mmengine.registry import DATASETS, METRICS, MODELS


@MODELS.register_module()
class ToyModel(BaseModel):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.weight = torch.nn.Parameter(torch.zeros(()))

    def forward(self, x, mode='tensor'):
        if mode == 'loss':
            return dict(loss=(self.weight * x - 2 * x).square().mean())
        return [dict(weight=self.weight.item())] * len(x)


@DATASETS.register_module()
class ToyDataset(torch.utils.data.Dataset):
    METAINFO = dict()
    metainfo = dict()

    def __len__(self):
        return 8

    def __getitem__(self, index):
        return dict(x=torch.tensor(1.0 + index))


@METRICS.register_module()
class ToyMetric(BaseMetric):
    default_prefix = 'toy'

    def process(self, data_batch, data_samples):
        self.results += [sample['weight'] for sample in data_samples]

    def compute_metrics(self, results):
        return dict(weight=sum(results) / len(results), count=len(results), APr=float('nan'))
'''

TOY_CONFIG = '''
custom_imports = dict(imports=['bacl', 'toy'], allow_failed_imports=False)
default_scope = 'mmengine'
model = dict(type='ToyModel')
train_dataloader = dict(
    batch_size=2, num_workers=0, dataset=dict(type='ToyDataset'),
    collate_fn=dict(type='default_collate'),
    sampler=dict(type='DefaultSampler', shuffle=True))
test_dataloader = dict(
    batch_size=2, num_workers=0, dataset=dict(type='ToyDataset'),
    collate_fn=dict(type='default_collate'),
    sampler=dict(type='DefaultSampler', shuffle=False))
train_cfg = dict(by_epoch=True, max_epochs=2)
test_cfg = dict()
test_evaluator = dict(type='ToyMetric')
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.005))
default_hooks = dict(plain_checkpoint=dict(type='mmdet.PlainCheckpointHook'))
env_cfg = dict(cudnn_benchmark=False, mp_cfg=dict(mp_start_method='fork'))
'''


@pytest.fixture(scope='session')
def load_tool():
    """A function that imports tools/<path> as a module."""

    def load(path):
        name = f'tool_{Path(path).stem}'
        spec = importlib.util.spec_from_file_location(name, ROOT / 'tools' / path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # dataclasses look their module up
        # As for a script that is run, its folder is where it imports from.
        folder = str((ROOT / 'tools' / path).parent)
        if folder not in sys.path:
            sys.path.append(folder)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture
def toy(tmp_path):
    """A folder with stage1.py and stage2.py, configs of a toy model of seconds."""
    (tmp_path / 'toy.py').write_text(TOY_MODULE)
    (tmp_path / 'stage1.py').write_text(TOY_CONFIG)
    (tmp_path / 'stage2.py').write_text("_base_ = './stage1.py'\nstage1_config = 'stage1'\n")
    return tmp_path


@pytest.fixture
def tool_environment(toy):
    """Environment for a tool that runs in the toy's folder, on the CPU."""
    return dict(
        os.environ, PYTHON=sys.executable, CUDA_VISIBLE_DEVICES='-1', OMP_NUM_THREADS='1',
        PYTHONPATH=os.pathsep.join(
            [*filter(None, [os.environ.get('PYTHONPATH')]), str(ROOT), str(toy)]))
