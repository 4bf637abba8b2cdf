import pickle

import bacl  # noqa: F401
import numpy as np
import pytest
from bacl.datasets.coco_lt.simcal_index import read_simcal_index

CLASSES = ['cat', 'dog']


@pytest.fixture
def write(tmp_path):
    def write(content):
        path = tmp_path / 'index.pt'
        path.write_bytes(pickle.dumps(content))
        return path

    return write


def entry(count, image_ids):
    return {'isntance_count': count, 'img_id': image_ids, 'image_info_id': []}


def test_entries_belong_to_the_classes_in_label_order(write):
    index = read_simcal_index(write({2: entry(3, [7, 5]), 1: entry(1, [4])}), CLASSES)
    assert list(index) == CLASSES
    assert index['cat'] == (1, [4]) and index['dog'] == (3, [7, 5])


class Harmful:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), 'w'))


def test_code_in_the_pickle_is_refused_and_does_not_run(write, tmp_path):
    path = write({1: entry(1, [4]), 2: Harmful(tmp_path / 'written')})
    with pytest.raises(ValueError, match=r'plain containers.*index\.pt: it asks for .*open'):
        read_simcal_index(path, CLASSES)
    assert not (tmp_path / 'written').exists()


def test_objects_of_other_packages_are_refused(write):
    with pytest.raises(ValueError, match='it asks for numpy'):
        read_simcal_index(write({1: entry(np.int64(1), [4]), 2: entry(1, [4])}), CLASSES)


@pytest.mark.parametrize('content', [b'', b'not a pickle', pickle.dumps({1: 2})[:-3]])
def test_damaged_file_is_named(tmp_path, content):
    path = tmp_path / 'index.pt'
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r'expects a pickle .*index\.pt'):
        read_simcal_index(path, CLASSES)


@pytest.mark.parametrize('content', [
    [], {}, {1: entry(1, [4])}, {0: entry(1, [4]), 1: entry(1, [4])},
    {1: entry(1, [4]), 2: entry(1, [4]), 3: entry(1, [4])},
])
def test_index_of_another_dataset_is_refused(write, content):
    with pytest.raises(ValueError, match=r'expects a dict of the labels 1 to 2'):
        read_simcal_index(write(content), CLASSES)


@pytest.mark.parametrize('value', [
    3, {}, {'img_id': [4]}, entry('1', [4]), entry(True, [4]), entry(1, 4), entry(1, ['4']),
    entry(1, [4, 5]), entry(2, [4, 4]),
])
def test_impossible_entry_is_named_by_its_label(write, value):
    with pytest.raises(ValueError, match=r'something else for label 2 in'):
        read_simcal_index(write({1: entry(1, [4]), 2: value}), CLASSES)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'index of SimCal.*nowhere\.pt'):
        read_simcal_index(tmp_path / 'nowhere.pt', CLASSES)
