import bacl  # noqa: F401
import pytest
from bacl.engine.prediction.image_files import ImageFile, find_images


@pytest.fixture
def folder(tmp_path):
    for name in ('b.JPG', 'a.png', 'sub/a.png', 'notes.md', 'out/pictures/a.png'):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def names(files):
    return [file.name for file in files]


def test_images_of_a_folder_are_those_in_sub_folders_too_but_not_its_results(folder):
    assert names(find_images(folder)) == ['a.png', 'b.JPG', 'out/pictures/a.png', 'sub/a.png']
    found = find_images(str(folder), without=folder / 'out')
    assert names(found) == ['a.png', 'b.JPG', 'sub/a.png']
    assert found[2].path == str(folder / 'sub/a.png')


def test_paths_of_a_list_start_in_its_folder(folder):
    (folder / 'list.txt').write_text('\ufeffsub/a.png\n\n  ../x/b.png \n/elsewhere/c.png\n',
                                     encoding='utf-8')
    found = find_images(folder / 'list.txt')
    assert [file.path for file in found] == [
        str(folder / 'sub/a.png'), str(folder / '../x/b.png'), '/elsewhere/c.png']
    assert not [name for name in names(found) if '..' in name or name.startswith('/')]


def test_a_single_image_and_paths_have_short_names(folder):
    assert find_images(folder / 'a.png') == [ImageFile(str(folder / 'a.png'), 'a.png')]
    assert names(find_images([folder / 'a.png', folder / 'sub/a.png'])) == ['a.png', 'sub/a.png']
    assert find_images('https://host/x/y.jpg?size=1') == [
        ImageFile('https://host/x/y.jpg?size=1', 'y.jpg')]


@pytest.mark.parametrize('source, error, message', [
    ('none.png', FileNotFoundError, r"got 'none\.png': no such file"),
    ([], ValueError, 'at least one image'),
    (['a.png', './a.png'], ValueError, "'a.png' more than once")])
def test_what_cannot_be_an_image_is_named(source, error, message):
    with pytest.raises(error, match=message):
        find_images(source)


def test_a_folder_or_list_without_images_is_refused(tmp_path):
    (tmp_path / 'list.txt').touch()
    for source in (tmp_path, tmp_path / 'list.txt'):
        with pytest.raises(ValueError, match='IMAGES expects'):
            find_images(source)
