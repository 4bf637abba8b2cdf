from pathlib import Path

import bacl  # noqa: F401
import pytest
import torch
from bacl.engine.running import stage1
from bacl.engine.running.stage1 import prepare_stage1
from bacl.models.detectors import DecoupledTwoStageDetector
from mmengine.config import Config

NAME = 'faster-rcnn_stage1_lvis-v0.5'


def save(path, meta=None, **weights):
    torch.save(dict(state_dict=weights, meta=meta or {}), path)


@pytest.fixture
def stage2(tmp_path):
    """A stage-2 config in its work_dir, and the folder where its stage 1 belongs."""
    work_dir = tmp_path / 'stage2'
    work_dir.mkdir()
    (tmp_path / NAME).mkdir()
    return Config(dict(work_dir=str(work_dir), stage1_config=NAME)), tmp_path / NAME


def test_newest_checkpoint_of_the_sibling_folder_is_taken(stage2):
    cfg, folder = stage2
    save(folder / 'epoch_1.pth')
    save(folder / 'epoch_12.pth')
    prepare_stage1(cfg)
    assert cfg.load_from == str(folder / 'epoch_12.pth')


@pytest.mark.parametrize('form', ['{}.py', './{}.py', '../baselines/{}.py'])
def test_stage1_config_may_be_a_path(stage2, form):
    cfg, folder = stage2
    cfg.stage1_config = form.format(NAME)
    save(folder / 'epoch_1.pth')
    prepare_stage1(cfg, 'auto')
    assert cfg.load_from == str(folder / 'epoch_1.pth')


def test_stage1_config_may_lie_in_another_folder(tmp_path):
    for name in ('baselines', 'method', NAME):
        (tmp_path / name).mkdir()
    (tmp_path / f'baselines/{NAME}.py').write_text('train_cfg = dict(max_epochs=12)\n')
    path = tmp_path / 'method/stage2.py'
    path.write_text(f"stage1_config = '../baselines/{NAME}.py'\n"
                    f'work_dir = {str(tmp_path / "stage2")!r}\n')
    save(tmp_path / NAME / 'epoch_3.pth')
    with pytest.raises(RuntimeError, match='epoch_3.pth of 12 epochs') as error:
        prepare_stage1(Config.fromfile(path))
    assert f'tools/train.py {tmp_path}/baselines/{NAME}.py ' in str(error.value)


@pytest.fixture
def stage2_with_files(tmp_path):
    """A stage-2 config beside the config of its stage 1 of 12 epochs, and stage 1's work_dir."""
    configs = tmp_path / 'configs'
    configs.mkdir()
    (configs / f'{NAME}.py').write_text('train_cfg = dict(max_epochs=12)\n')
    (configs / 'stage2.py').write_text(
        f'stage1_config = {NAME!r}\nwork_dir = {str(tmp_path / "stage2")!r}\n')
    (tmp_path / NAME).mkdir()
    return Config.fromfile(configs / 'stage2.py'), tmp_path / NAME


def test_unfinished_stage1_is_refused_unless_it_is_named(stage2_with_files):
    cfg, folder = stage2_with_files
    checkpoint = folder / 'epoch_3.pth'
    save(checkpoint)
    for argument in (None, 'auto'):
        with pytest.raises(RuntimeError, match='got .*epoch_3.pth of 12 epochs') as error:
            prepare_stage1(cfg, argument)
        assert f'--work-dir {folder} --resume ' in str(error.value)
    for named in (checkpoint, folder):
        prepare_stage1(cfg, str(named))
        assert cfg.load_from == str(checkpoint)


def test_finished_stage1_is_taken(stage2_with_files):
    cfg, folder = stage2_with_files
    save(folder / 'epoch_12.pth')
    prepare_stage1(cfg)
    assert cfg.load_from == str(folder / 'epoch_12.pth')


def test_length_of_stage1_is_that_of_its_own_run(stage2_with_files):
    cfg, folder = stage2_with_files
    save(folder / 'epoch_3.pth')
    (folder / f'{NAME}.py').write_text('train_cfg = dict(max_epochs=3)\n')
    prepare_stage1(cfg)
    assert cfg.load_from == str(folder / 'epoch_3.pth')


def test_iterations_of_stage1_are_counted_too(stage2_with_files):
    cfg, folder = stage2_with_files
    (folder / f'{NAME}.py').write_text('train_cfg = dict(max_iters=100)\n')
    save(folder / 'iter_50.pth')
    with pytest.raises(RuntimeError, match='got .*iter_50.pth of 100 iters'):
        prepare_stage1(cfg)


def test_missing_checkpoint_tells_where_it_was_sought_and_how_to_train_it(stage2, tmp_path):
    cfg, folder = stage2
    config_file = tmp_path / 'configs' / 'stage2.py'
    config_file.parent.mkdir()
    config_file.write_text(f'stage1_config = {NAME!r}\nwork_dir = {cfg.work_dir!r}\n')
    with pytest.raises(FileNotFoundError) as error:
        prepare_stage1(Config.fromfile(config_file))
    assert (f'python tools/train.py {config_file.with_name(NAME)}.py --work-dir {folder}'
            in str(error.value))


def test_given_checkpoint_or_folder_is_taken(stage2, tmp_path):
    cfg, _ = stage2
    other = tmp_path / 'other'
    other.mkdir()
    save(other / 'epoch_3.pth')
    for given in (other, other / 'epoch_3.pth'):
        cfg.load_from = None
        prepare_stage1(cfg, str(given))
        assert cfg.load_from == str(other / 'epoch_3.pth')


def test_given_checkpoint_that_is_missing_is_refused(stage2):
    cfg, _ = stage2
    with pytest.raises(FileNotFoundError, match='--stage1-checkpoint expects .*nowhere'):
        prepare_stage1(cfg, 'nowhere/epoch_1.pth')


def test_load_from_of_the_user_is_kept_unless_a_checkpoint_is_given(stage2):
    cfg, folder = stage2
    save(folder / 'epoch_1.pth')
    save(folder / 'mine.pth')
    cfg.load_from = str(folder / 'mine.pth')
    prepare_stage1(cfg)
    assert cfg.load_from == str(folder / 'mine.pth')
    prepare_stage1(cfg, 'auto')
    assert cfg.load_from == str(folder / 'epoch_1.pth')


def test_resumed_run_needs_no_stage1(stage2):
    cfg, _ = stage2
    cfg.resume, cfg.load_from = True, 'stage2/epoch_1.pth'
    prepare_stage1(cfg)
    assert cfg.load_from == 'stage2/epoch_1.pth'


def test_resumed_run_says_that_it_ignores_a_given_checkpoint(stage2, monkeypatch):
    logged = []
    monkeypatch.setattr(stage1, 'print_log', lambda text, logger, level: logged.append(text))
    cfg, _ = stage2
    cfg.resume, cfg.load_from = True, 'stage2/epoch_1.pth'
    prepare_stage1(cfg, 'stage1/epoch_12.pth')
    assert cfg.load_from == 'stage2/epoch_1.pth'
    assert logged == ['--stage1-checkpoint stage1/epoch_12.pth is ignored: the run resumes from '
                      'stage2/epoch_1.pth.']


@pytest.mark.parametrize('load_from', [None, 'torchvision://resnet50', 'of_another_machine.pth'])
@pytest.mark.parametrize('model', [dict(type='FasterRCNN'), dict(type='Unknown'), {}, None])
def test_config_of_one_stage_is_left_alone(load_from, model):
    cfg = Config(dict(model=model, load_from=load_from))
    prepare_stage1(cfg)
    assert cfg.load_from == load_from


@pytest.mark.parametrize('content', [
    dict(weight=torch.zeros(1)), dict(state_dict={}), dict(state_dict={}, meta=None),
    dict(state_dict={}, meta=dict(cfg=None)), dict(meta=dict(cfg='stage1_config = None'))])
def test_weights_of_which_nothing_says_stage2_are_taken(stage2, content):
    cfg, folder = stage2
    torch.save(content, folder / 'epoch_1.pth')
    prepare_stage1(cfg)
    assert cfg.load_from == str(folder / 'epoch_1.pth')


@pytest.mark.parametrize('given', ['~/other', '~/other/epoch_3.pth'])
def test_home_folder_is_known_as_it_is_to_the_loader(stage2, tmp_path, monkeypatch, given):
    monkeypatch.setenv('HOME', str(tmp_path))
    (tmp_path / 'other').mkdir()
    save(tmp_path / 'other/epoch_3.pth')
    cfg, _ = stage2
    prepare_stage1(cfg, given)
    assert Path(cfg.load_from).expanduser() == tmp_path / 'other/epoch_3.pth'


class Mine(DecoupledTwoStageDetector):
    pass


@pytest.fixture(params=['DecoupledTwoStageDetector', 'mmdet.DecoupledTwoStageDetector',
                        'bacl.models.detectors.DecoupledTwoStageDetector',
                        DecoupledTwoStageDetector, Mine])
def own_config(tmp_path, request):
    """A user's stage-2 config, which does not name its stage 1."""
    return Config(dict(model=dict(type=request.param), work_dir=str(tmp_path)))


def test_config_without_the_name_of_its_stage1_takes_a_file(own_config, tmp_path):
    checkpoint = tmp_path / 'mine.pth'
    save(checkpoint)
    prepare_stage1(own_config, str(checkpoint))
    assert own_config.load_from == str(checkpoint)


@pytest.mark.parametrize('argument', [None, 'auto', '.'])
def test_config_without_the_name_of_its_stage1_needs_a_file(own_config, argument):
    with pytest.raises(ValueError, match='--stage1-checkpoint expects the file of stage 1'):
        prepare_stage1(own_config, argument)


def test_config_without_the_name_of_its_stage1_may_have_a_load_from(own_config, tmp_path):
    own_config.load_from = str(tmp_path / 'mine.pth')
    with pytest.raises(FileNotFoundError, match='load_from expects'):
        prepare_stage1(own_config)
    save(tmp_path / 'mine.pth')
    prepare_stage1(own_config)
    assert own_config.load_from == str(tmp_path / 'mine.pth')


INDICATOR = 'roi_head.bbox_head.loss_cls.indicator.score_sum'


@pytest.mark.parametrize('weights, meta, message', [
    ({INDICATOR: torch.zeros(1)}, {}, rf'through stage 2 already \(it has {INDICATOR}\)'),
    ({'roi_head.bbox_head.0.loss_cls.indicator.counts': torch.zeros(1)}, {}, 'it has roi_head'),
    ({'roi_head.augmenters.0.distribution.mean': torch.zeros(1)}, {}, 'it has roi_head'),
    ({}, dict(cfg="model = dict(\n    type='DecoupledTwoStageDetector')"), r'already\. Pass'),
    ({}, dict(cfg="seed = 0\nstage1_config = 'stage1'\nmodel = dict(type='Mine')"), 'already'),
])
@pytest.mark.parametrize('is_found', [True, False])
def test_weights_of_stage2_are_refused(stage2, is_found, weights, meta, message):
    cfg, folder = stage2
    save(folder / 'epoch_1.pth', meta, **weights)
    with pytest.raises(ValueError, match=message) as error:
        prepare_stage1(cfg, None if is_found else str(folder / 'epoch_1.pth'))
    assert str(folder / 'epoch_1.pth') in str(error.value) and '--resume' in str(error.value)


def test_config_in_a_checkpoint_is_not_executed(stage2, tmp_path):
    cfg, folder = stage2
    code = f'import pathlib; pathlib.Path({str(tmp_path / "executed")!r}).touch()'
    save(folder / 'epoch_1.pth', dict(cfg=code))
    prepare_stage1(cfg)
    assert not (tmp_path / 'executed').exists()


def test_official_checkpoint_is_pointed_to_the_converter(stage2):
    cfg, folder = stage2
    save(folder / 'epoch_1.pth', dict(mmdet_version='2.8.0', CLASSES=('a',)))
    with pytest.raises(ValueError, match=r'--stage1-checkpoint .*epoch_1\.pth is a checkpoint of '
                                         r'MMDetection 2\.8\.0\. .*convert_official_bacl\.py'):
        prepare_stage1(cfg)


def test_truncated_checkpoint_is_refused_before_anything_is_built(stage2):
    cfg, folder = stage2
    (folder / 'epoch_1.pth').write_bytes(b'')
    with pytest.raises(RuntimeError, match=r'epoch_1\.pth cannot be read; it may be truncated'):
        prepare_stage1(cfg)


def test_address_is_left_to_the_run(stage2):
    cfg, _ = stage2
    prepare_stage1(cfg, 'https://example.org/epoch_12.pth')
    assert cfg.load_from == 'https://example.org/epoch_12.pth'
