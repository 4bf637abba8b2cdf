import re
import subprocess
import sys
from pathlib import Path

import bacl
import pytest

# Brings up mmdet and all of its components as they are without bacl, then imports bacl.
MMDET_ALONE = f"""
import sys, types
stub = types.ModuleType('bacl')
stub.__path__ = {bacl.__path__!r}
sys.modules['bacl'] = stub
from bacl.compat import prepare
prepare()
from mmdet.utils import register_all_modules
register_all_modules()
import mmdet.registry
registries = {{name: value for name, value in vars(mmdet.registry).items() if name.isupper()}}
before = {{name: dict(registry.module_dict) for name, registry in registries.items()}}
before |= {{name + ' of mmengine': dict(registry.parent.module_dict)
           for name, registry in registries.items() if registry.parent}}
del sys.modules['bacl']
import bacl
after = {{name: registry.module_dict for name, registry in registries.items()}}
after |= {{name + ' of mmengine': registry.parent.module_dict
          for name, registry in registries.items() if registry.parent}}
"""


def run(script):
    return subprocess.run(
        [sys.executable, '-c', script], capture_output=True, text=True, check=False
    )


def test_import_adds_components_and_replaces_none():
    result = run(
        MMDET_ALONE
        + """
lost = [(name, key) for name in before for key in before[name]
        if after[name].get(key) is not before[name][key]]
assert not lost, lost
assert len(before['MODELS']) > 100
added = {key for name in after for key in after[name].keys() - before[name].keys()}
assert 'PlainCheckpointHook' in added, added
shadowing = [(name, key) for name in before if name + ' of mmengine' in before
             for key in after[name].keys() - before[name].keys()
             if key in before[name + ' of mmengine']]
assert not shadowing, shadowing
"""
    )
    assert result.returncode == 0, result.stderr


def test_import_brings_operators_and_checkpoint_loaders(warm_python):
    # Whose first import is this package.
    result = warm_python.run(['-c', (
        'from mmcv.ops import RoIAlign, batched_nms\n'
        'from mmengine.runner.checkpoint import CheckpointLoader\n'
        'loader = CheckpointLoader._get_checkpoint_loader\n'
        'assert loader("a.pth").__module__ == "bacl.compat.checkpoints"\n'
        'assert loader("package://a/b").__module__ == "bacl.compat.checkpoints"\n'
        'assert loader("https://a").__module__ == "bacl.compat.checkpoints"\n'
        'assert loader("torchvision://a").__module__ != "bacl.compat.checkpoints"\n')])
    assert result.returncode == 0, result.stdout


def test_import_does_not_need_what_only_reports_need():
    result = run(
        'import sys\n'
        'optional = ["pandas", "plotly", "jinja2", "itables", "tensorboard"]\n'
        'sys.modules.update({name: None for name in optional})\n'
        'import bacl\n'
        'assert "bacl.report" not in sys.modules\n'
        'import bacl.report\n'
    )
    assert 'ImportError: Reports expect the package pandas, plotly, jinja2, itables' in \
        result.stderr and 'pip install pandas plotly Jinja2 itables' in result.stderr


def test_version_is_a_release_number():
    assert re.fullmatch(r'\d+\.\d+\.\d+', bacl.__version__)


@pytest.mark.parametrize('area', ['datasets', 'evaluation', 'models', 'engine'])
def test_every_area_is_imported(area):
    assert f'bacl.{area}' in sys.modules
    assert Path(getattr(bacl, area).__file__).parent.parent == Path(bacl.__file__).parent
