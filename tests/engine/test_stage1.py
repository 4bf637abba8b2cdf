import pytest
from bacl.engine.stage1 import prepare_stage1
from mmengine.config import Config

NAME = 'faster-rcnn_stage1_lvis-v0.5'


@pytest.fixture
def stage2(tmp_path):
    """A stage-2 config in its work_dir, and the folder where its stage 1 belongs."""
    work_dir = tmp_path / 'stage2'
    work_dir.mkdir()
    (tmp_path / NAME).mkdir()
    return Config(dict(work_dir=str(work_dir), stage1_config=NAME)), tmp_path / NAME


def test_newest_checkpoint_of_the_sibling_folder_is_taken(stage2):
    cfg, folder = stage2
    (folder / 'epoch_1.pth').touch()
    (folder / 'epoch_12.pth').touch()
    prepare_stage1(cfg)
    assert cfg.load_from == str(folder / 'epoch_12.pth')


@pytest.mark.parametrize('form', ['{}.py', 'configs/bacl/{}.py'])
def test_stage1_config_may_be_a_path(stage2, form):
    cfg, folder = stage2
    cfg.stage1_config = form.format(NAME)
    (folder / 'epoch_1.pth').touch()
    prepare_stage1(cfg, 'auto')
    assert cfg.load_from == str(folder / 'epoch_1.pth')


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
    (other / 'epoch_3.pth').touch()
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
    (folder / 'epoch_1.pth').touch()
    (folder / 'mine.pth').touch()
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


def test_config_of_one_stage_is_left_alone_and_takes_no_checkpoint():
    cfg = Config(dict(load_from=None))
    prepare_stage1(cfg)
    assert cfg.load_from is None
    with pytest.raises(ValueError, match='--stage1-checkpoint expects a config with'):
        prepare_stage1(cfg, 'auto')
