import bacl  # noqa: F401
import numpy as np
import pytest
from bacl.evaluation.matching import EncodedMasks, load_arrays, save_arrays

ARRAYS = {
    'numbers': np.arange(6, dtype=np.float32).reshape(2, 3),
    'nothing': np.zeros((0, 4)),
    'limit': np.array(3),
    'masks': EncodedMasks.from_rles([{'size': [2, 3], 'counts': b'ab'},
                                     {'size': [4, 5], 'counts': b''}]),
    'no_masks': EncodedMasks.from_rles([]),
}


def test_what_is_read_is_what_was_written(tmp_path):
    save_arrays(tmp_path / 'new', ARRAYS)
    found = load_arrays(tmp_path / 'new')
    assert sorted(found) == sorted(ARRAYS)
    for name, expected in ARRAYS.items():
        if isinstance(expected, EncodedMasks):
            assert list(found[name]) == list(expected)
        else:
            assert found[name].dtype == expected.dtype
            np.testing.assert_array_equal(found[name], expected)


def test_arrays_stay_in_their_files(tmp_path):
    save_arrays(tmp_path, ARRAYS)
    numbers = load_arrays(tmp_path)['numbers']
    assert isinstance(numbers.base, np.memmap)
    with pytest.raises(ValueError, match='read-only'):
        numbers[0] = 1


def test_python_objects_are_not_pickled(tmp_path):
    with pytest.raises(ValueError, match='allow_pickle'):
        save_arrays(tmp_path, {'objects': np.array([{}, []], dtype=object)})
