import pytest
from bacl.engine.running.work_dir import (
    find_checkpoint,
    prepare_resume,
    require_file,
    resolve_work_dir,
)
from mmengine.config import Config


def touch(folder, *names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()


@pytest.mark.parametrize(
    'own, given, expected', [(None, None, 'work_dirs/lvis-v0.5'), ('own', None, 'own'),
                             ('own', 'given', 'given')])
def test_work_dir_is_the_argument_else_the_configs_else_the_config_name(
        tmp_path, monkeypatch, own, given, expected):
    monkeypatch.chdir(tmp_path)
    cfg = Config(dict(work_dir=own))
    resolve_work_dir(cfg, 'configs/lvis-v0.5.py', given)
    assert cfg.work_dir == expected
    assert (tmp_path / expected).is_dir()


def test_work_dir_below_a_file_is_refused_with_the_reason(tmp_path):
    touch(tmp_path, 'file')
    with pytest.raises(RuntimeError, match=r'--work-dir expects .*file/run.*Not a directory'):
        resolve_work_dir(Config(), 'c.py', str(tmp_path / 'file' / 'run'))


def test_missing_file_is_named_with_its_argument_and_addresses_pass(tmp_path):
    require_file('https://host/model.pth', 'checkpoint')
    with pytest.raises(FileNotFoundError, match=r"checkpoint expects .*nothing\.pth"):
        require_file(str(tmp_path / 'nothing.pth'), 'checkpoint')
    with pytest.raises(FileNotFoundError, match='checkpoint expects'):
        require_file(str(tmp_path), 'checkpoint')


def test_no_checkpoint_in_an_empty_or_missing_folder(tmp_path):
    assert find_checkpoint(tmp_path) is None
    assert find_checkpoint(tmp_path / 'missing') is None


def test_last_checkpoint_wins_over_a_higher_number(tmp_path):
    touch(tmp_path, 'epoch_2.pth', 'epoch_3.pth')
    (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'epoch_2.pth'))
    assert find_checkpoint(tmp_path) == tmp_path / 'epoch_2.pth'


def test_last_checkpoint_of_a_moved_folder_is_found_beside_it(tmp_path):
    touch(tmp_path, 'epoch_2.pth', 'epoch_3.pth')
    (tmp_path / 'last_checkpoint').write_text('/gone/epoch_2.pth')
    assert find_checkpoint(tmp_path) == tmp_path / 'epoch_2.pth'


def test_copied_run_does_not_follow_its_pointer_into_the_original(tmp_path):
    original, copy = tmp_path / 'original', tmp_path / 'copy'
    for folder in (original, copy):
        touch(folder, 'epoch_2.pth')
        (folder / 'last_checkpoint').write_text(str(original / 'epoch_2.pth'))
    assert find_checkpoint(copy) == copy / 'epoch_2.pth'


def test_numbers_are_compared_as_numbers(tmp_path):
    touch(tmp_path, 'epoch_9.pth', 'epoch_10.pth', 'best_epoch_11.pth', 'epoch_x.pth')
    assert find_checkpoint(tmp_path) == tmp_path / 'epoch_10.pth'


def test_without_resume_nothing_changes(tmp_path):
    touch(tmp_path, 'epoch_1.pth')
    cfg = Config(dict(work_dir=str(tmp_path), resume=False, load_from='weights.pth'))
    prepare_resume(cfg, None)
    assert (cfg.resume, cfg.load_from) == (False, 'weights.pth')


@pytest.mark.parametrize('argument, resume', [('auto', False), (None, True)])
def test_resume_takes_the_newest_checkpoint(tmp_path, argument, resume):
    touch(tmp_path, 'epoch_1.pth')
    cfg = Config(dict(work_dir=str(tmp_path), resume=resume, load_from=None))
    prepare_resume(cfg, argument)
    assert (cfg.resume, cfg.load_from) == (True, str(tmp_path / 'epoch_1.pth'))


@pytest.mark.parametrize('argument, resume', [('auto', False), (None, True)])
def test_resume_with_nothing_to_resume_is_refused(tmp_path, argument, resume):
    cfg = Config(dict(work_dir=str(tmp_path), resume=resume))
    with pytest.raises(FileNotFoundError, match='--resume expects a checkpoint in'):
        prepare_resume(cfg, argument)


def test_resume_from_a_missing_checkpoint_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'--resume expects .*epoch_7\.pth'):
        prepare_resume(Config(dict(work_dir=str(tmp_path))), str(tmp_path / 'epoch_7.pth'))
