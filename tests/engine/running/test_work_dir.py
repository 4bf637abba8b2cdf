import pytest
import torch
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


def test_home_folder_is_known_as_it_is_to_the_loader(tmp_path, monkeypatch):
    monkeypatch.setenv('HOME', str(tmp_path))
    touch(tmp_path, 'model.pth')
    require_file('~/model.pth', 'checkpoint')


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


def save(path, **content):
    torch.save(dict(state_dict=dict(weight=torch.zeros(1)), **content), path)


@pytest.mark.parametrize('argument, resume', [('auto', False), (None, True)])
def test_resume_takes_the_newest_checkpoint(tmp_path, argument, resume):
    save(tmp_path / 'epoch_1.pth', meta=dict(epoch=1, iter=10))
    cfg = Config(dict(work_dir=str(tmp_path), resume=resume, load_from=None))
    prepare_resume(cfg, argument)
    assert (cfg.resume, cfg.load_from) == (True, str(tmp_path / 'epoch_1.pth'))


@pytest.mark.parametrize('argument, asked', [('auto', '--resume'), (None, 'resume=True in the')])
def test_resume_with_nothing_to_resume_is_refused(tmp_path, argument, asked):
    cfg = Config(dict(work_dir=str(tmp_path), resume=argument is None))
    with pytest.raises(FileNotFoundError, match=f'^{asked} .*{tmp_path}'):
        prepare_resume(cfg, argument)


@pytest.mark.parametrize('argument, asked', [('epoch_7.pth', '--resume'), (None, 'resume=True')])
def test_resume_from_a_missing_checkpoint_is_refused(tmp_path, argument, asked):
    cfg = Config(dict(work_dir=str(tmp_path), resume=argument is None, load_from='epoch_7.pth'))
    with pytest.raises(FileNotFoundError, match=rf'^{asked} .*epoch_7\.pth'):
        prepare_resume(cfg, argument)


@pytest.mark.parametrize('content', [
    dict(weight=torch.zeros(1)), dict(state_dict={}, meta=None), dict(state_dict={}, meta={}),
    dict(state_dict={}, meta=dict(iter=5))])
def test_weights_alone_cannot_be_resumed(tmp_path, content):
    torch.save(content, tmp_path / 'weights.pth')
    cfg = Config(dict(work_dir=str(tmp_path)))
    with pytest.raises(ValueError, match=r'weights\.pth .*epoch.*load_from=FILE'):
        prepare_resume(cfg, str(tmp_path / 'weights.pth'))


def test_address_to_resume_from_is_left_to_the_run(tmp_path):
    cfg = Config(dict(work_dir=str(tmp_path)))
    prepare_resume(cfg, 'https://example.org/epoch_1.pth')
    assert cfg.load_from == 'https://example.org/epoch_1.pth'
