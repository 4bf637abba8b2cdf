import json
import os
import pickle
import sys
from pathlib import Path

import pytest
import torch
from bacl.engine.running.run_lock import lock_work_dir
from mmdet.registry import MODELS
from mmengine.config import Config

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / 'tools'
STAGE2 = ROOT / 'configs/bacl/faster-rcnn_effnet-lite0_emoji-lt-smoke_stage2-bacl.py'


@pytest.fixture
def run(tmp_path, warm_python):
    """Run a tool in a folder of its own; return its output."""
    environment = dict(os.environ, PYTHON=sys.executable, CUDA_VISIBLE_DEVICES='-1',
                       OMP_NUM_THREADS='1', PYTHONPATH=str(ROOT))

    def run(tool, *argv, fails=False):
        done = warm_python.run([TOOLS / tool, *map(str, argv)], cwd=tmp_path, env=environment)
        assert (done.returncode != 0) == fails, done.stdout
        return done.stdout

    return run


@pytest.fixture
def stage2(tmp_path, smoke_data):
    """A stage-2 config of a few images, and a checkpoint of stage 1 with random weights."""
    cfg = Config.fromfile(STAGE2)
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.dataset.update(data_root=f'{smoke_data}/')
        loader.update(num_workers=0, persistent_workers=False, batch_size=4)
    cfg.train_dataloader.dataset.indices = 12
    for evaluator in (cfg.val_evaluator, cfg.test_evaluator):
        evaluator.ann_file = f'{smoke_data}/annotations/emoji_lt_val.json'
        evaluator.exhaustive_ann_file = f'{smoke_data}/annotations/emoji_lt_val_exhaustive.json'
    cfg.custom_imports = dict(imports=['bacl'], allow_failed_imports=False)
    cfg.dump(tmp_path / 'stage2.py')
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    model.init_weights()
    weights = {name: value for name, value in model.state_dict().items()
               if 'augmenters' not in name and 'indicator' not in name}
    torch.save(dict(state_dict=weights), tmp_path / 'stage1.pth')
    return tmp_path / 'stage2.py'


def test_what_the_user_can_cure_is_one_line(load_tool, tmp_path, monkeypatch):
    tool = load_tool('build_feature_bank.py')
    (tmp_path / 'a.py').write_text('a = 1\n')
    argv = ['build_feature_bank.py', str(tmp_path / 'a.py'), str(tmp_path / 'a.pth'), '--out',
            str(tmp_path)]
    monkeypatch.setattr(sys, 'argv', argv)
    with pytest.raises(SystemExit, match='FileNotFoundError: checkpoint expects.*a.pth'):
        tool.main()
    (tmp_path / 'a.pth').touch()
    with lock_work_dir(str(tmp_path)), \
            pytest.raises(SystemExit, match='--out expects a folder without a run'):
        tool.main()

    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(tool, 'build_feature_bank', interrupt)
    with pytest.raises(SystemExit, match='The same command goes on'):
        tool.main()


@pytest.mark.slow
def test_stage_2_from_a_bank_is_a_checkpoint_like_any_other(run, stage2, tmp_path):
    output = run('build_feature_bank.py', stage2, 'stage1.pth', '--out', 'bank', '--dtype',
                 'float32')
    assert 'at most about' in output and 'is complete' in output
    assert 'complete already' in run('build_feature_bank.py', stage2, 'stage1.pth', '--out',
                                     'bank', '--dtype', 'float32')
    output = run('train.py', stage2, '--feature-bank', 'bank', '--seed', '0')
    assert 'rpn_head stay' in output and f'stage-1 checkpoint {tmp_path}/stage1.pth' in output
    start = torch.load(tmp_path / 'stage1.pth', weights_only=True)['state_dict']
    end = torch.load(tmp_path / 'work_dirs/stage2/epoch_2.pth', weights_only=True)['state_dict']
    changed = {name for name, value in start.items() if not torch.equal(value, end[name])}
    assert changed == {f'roi_head.bbox_head.{layer}.{kind}' for layer in ('fc_cls', 'fc_reg')
                       for kind in ('weight', 'bias')}
    run('train.py', stage2, '--feature-bank', 'bank', '--resume', '--cfg-options',
        'train_cfg.max_epochs=3')
    found = []
    for name, options in (('online', []), ('stored', ['--feature-bank', 'bank'])):
        run('test.py', stage2, 'work_dirs/stage2/epoch_3.pth', '--work-dir', name, *options,
            '--out', f'{name}.pkl')
        predictions = pickle.loads((tmp_path / f'{name}.pkl').read_bytes())
        found.append([json.loads((tmp_path / name / 'metrics.json').read_text()), torch.cat(
            [image['pred_instances']['scores'].sort().values for image in predictions])])
    assert found[0][0] == pytest.approx(found[1][0], abs=1e-4)
    assert len(found[0][1]) > 1000
    torch.testing.assert_close(*(scores for _, scores in found), rtol=1e-4, atol=1e-6)

    output = run('train.py', stage2, '--feature-bank', 'bank', '--work-dir', 'other',
                 '--stage1-checkpoint', 'work_dirs/stage2/epoch_3.pth', fails=True)
    assert 'has been through stage 2' in output
    output = run('test.py', stage2, 'work_dirs/stage2/epoch_3.pth', '--feature-bank', 'bank',
                 '--tta', fails=True)
    assert '--tta' in output.splitlines()[-1]
