import os
import sys
from pathlib import Path

import pytest
import torch
from bacl.engine.running.build import build_model
from mmengine.runner import load_checkpoint

CONFIG = (Path(__file__).resolve().parents[2] /
          'configs/bacl/faster-rcnn_r50_fpn_bacl-stage1_lvis-v0.5.py')
SMALL = f'''
_base_ = {str(CONFIG)!r}
model = dict(
    backbone=dict(depth=18), neck=dict(in_channels=[64, 128, 256, 512]),
    roi_head=dict(bbox_head=dict(num_classes=2, fc_out_channels=8)))
'''


class Attack:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


@pytest.fixture
def convert(load_tool, tmp_path, monkeypatch):
    """Run the tool on a checkpoint, with a small config."""
    tool = load_tool('model_converters/convert_official_bacl.py')
    (tmp_path / 'small.py').write_text(SMALL)

    def run(checkpoint):
        torch.save(checkpoint, tmp_path / 'official.pth')
        monkeypatch.setattr(sys, 'argv', [
            'convert_official_bacl.py', str(tmp_path / 'small.py'),
            str(tmp_path / 'official.pth'), str(tmp_path / 'new' / 'converted.pth')])
        tool.main()

    return run


def test_converted_file_is_plain_and_loads(convert, tmp_path, capsys):
    weights = build_model(str(tmp_path / 'small.py')).state_dict()
    convert(dict(state_dict=weights, meta=dict(CLASSES=('a', 'b')), optimizer={}))
    out = tmp_path / 'new' / 'converted.pth'
    converted = torch.load(out, weights_only=True)
    assert converted['meta']['dataset_meta']['classes'] == ('a', 'b')
    model = build_model(str(tmp_path / 'small.py'))
    load_checkpoint(model, str(out), strict=True)
    assert all(torch.equal(tensor, weights[name]) for name, tensor in model.state_dict().items())
    assert list(out.parent.iterdir()) == [out]
    printed = capsys.readouterr().out
    assert '1 dropped\n  optimizer\n' in printed and str(out) in printed


@pytest.mark.slow
def test_the_test_tool_takes_the_converted_file(
        convert, load_tool, make_lvis, tmp_path, monkeypatch):
    root = make_lvis('v0.5')
    (tmp_path / 'small.py').write_text(SMALL.replace('num_classes=2', 'num_classes=3') + f'''
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(128, 64), keep_ratio=True),
    dict(type='PackDetInputs',
         meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'))]
test_dataloader = dict(num_workers=0, persistent_workers=False, dataset=dict(
    data_root='{root}/', ann_file='annotations/lvis_v0.5_train.json',
    data_prefix=dict(img='train2017/'), pipeline=test_pipeline))
test_evaluator = dict(ann_file='{root}/annotations/lvis_v0.5_train.json')
''')
    weights = build_model(str(tmp_path / 'small.py')).state_dict()
    convert(dict(state_dict=weights, meta=dict(CLASSES=('yoke', 'acorn', 'zebra'))))
    monkeypatch.setattr(sys, 'argv', [
        'test.py', str(tmp_path / 'small.py'), str(tmp_path / 'new' / 'converted.pth'),
        '--work-dir', str(tmp_path / 'work')])
    load_tool('test.py').main()
    assert 'lvis/bbox_AP' in (tmp_path / 'work' / 'metrics.json').read_text()


def test_refusal_is_one_line_and_writes_nothing(convert, tmp_path):
    with pytest.raises(SystemExit, match=r'^ValueError: .*unknown to the model: stem\.weight'):
        convert(dict(state_dict={'stem.weight': torch.zeros(1)}))
    assert not (tmp_path / 'new').exists()


def test_code_in_a_checkpoint_is_not_executed(convert, tmp_path):
    with pytest.raises(SystemExit, match='^UnsafeCheckpointError: .* is refused'):
        convert(dict(state_dict={}, meta=Attack(tmp_path / 'executed')))
    assert not (tmp_path / 'executed').exists() and not (tmp_path / 'new').exists()
