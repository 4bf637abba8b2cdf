import os

import bacl  # noqa: F401
import pytest
from bacl.planning.image_files import ImageFolder, path_parts


@pytest.fixture
def folder(tmp_path):
    """A function that makes empty files below a folder."""
    def make(*paths):
        for path in paths:
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).touch()
        return ImageFolder(tmp_path)

    return make


@pytest.mark.parametrize('name, parts', [
    ('a.jpg', ['a.jpg']), ('./x//a.jpg', ['x', 'a.jpg']), ('..\\..\\x\\a.jpg', ['x', 'a.jpg']),
    ('D:\\x\\a.jpg', ['x', 'a.jpg']), ('/mnt/x/a.jpg', ['mnt', 'x', 'a.jpg']),
    ('https://host/x/a.jpg?size=1', ['x', 'a.jpg']),
    ('/data/local-files/?d=x/a.jpg', ['x', 'a.jpg']),
    ('s3://bucket/x/a.jpg', ['x', 'a.jpg']), ('', [])])
def test_folders_and_file_of_a_name(name, parts):
    assert path_parts(name) == parts


@pytest.mark.parametrize('files, names, found, prefix', [
    (['a.jpg', 'b.jpg'], ['a.jpg', 'b.jpg'], ['a.jpg', 'b.jpg'], ''),
    (['x/a.jpg', 'x/b.jpg'], ['a.jpg', 'b.jpg'], ['x/a.jpg', 'x/b.jpg'], 'x/'),
    (['x/a.jpg', 'y/b.jpg'], ['a.jpg', 'b.jpg'], ['x/a.jpg', 'y/b.jpg'], None),
    (['a.jpg'], ['images/a.jpg'], ['a.jpg'], None),
    # Of several files the one whose folders are those of the name.
    (['x/a.jpg', 'y/a.jpg'], ['C:\\z\\y\\a.jpg'], ['y/a.jpg'], None),
    # Another name that ends alike is no match.
    (['xa.jpg'], ['a.jpg'], [None], None),
    (['A.JPG', 'x/a.jpg'], ['x/A.jpg'], ['x/a.jpg'], None),
    (['a%20b.jpg', 'a b.jpg'], ['q/a%20b.jpg'], ['a%20b.jpg'], None),
    (['a b.jpg'], ['q/a%20b.jpg'], ['a b.jpg'], None)])
def test_images_are_found_by_the_end_of_their_path(files, names, found, prefix, folder, tmp_path):
    result = folder(*files).find(names, tmp_path / 'ann.json', 'train')
    assert result.names == found and result.prefix == prefix and not result.ambiguous
    assert result.missing == [i for i, name in enumerate(found) if name is None]


def test_the_folder_of_the_annotations_or_of_the_split_decides_between_equal_names(
        folder, tmp_path):
    root = folder('train/a.jpg', 'valid/a.jpg', 'other/a.jpg')
    for ann_file, split, found in (('train/ann.json', 'train', 'train/a.jpg'),
                                   ('other/ann.json', 'train', 'other/a.jpg'),
                                   ('ann.json', 'val', 'valid/a.jpg')):
        assert root.find(['a.jpg'], tmp_path / ann_file, split).names == [found]
    root = folder('one/train/a.jpg', 'two/train/a.jpg')
    result = root.find(['a.jpg'], tmp_path / 'ann.json', 'train')
    assert result.ambiguous == {0: ['one/train/a.jpg', 'train/a.jpg', 'two/train/a.jpg']}
    assert result.missing == []


def test_linked_folders_are_looked_into(folder, tmp_path_factory, tmp_path):
    disk = tmp_path_factory.mktemp('disk')
    (disk / 'a.jpg').touch()
    os.symlink(disk, tmp_path / 'linked')
    assert folder().find(['a.jpg'], tmp_path / 'ann.json', 'train').prefix == 'linked/'
