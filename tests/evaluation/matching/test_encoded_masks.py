import bacl  # noqa: F401
import numpy as np
import pytest
from bacl.evaluation.matching import EncodedMasks, encoded_masks
from faster_coco_eval import mask as mask_utils
from hypothesis import given
from hypothesis import strategies as st

# Any bytes will do where masks are only stored.
rles = st.lists(st.builds(lambda counts, height: {'size': [height, 7], 'counts': counts},
                          st.binary(max_size=5), st.integers(1, 9)), max_size=12)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Several blocks even of few masks."""
    monkeypatch.setattr(encoded_masks, '_BLOCK', 3)


@given(rles, st.data())
def test_masks_are_selected_like_the_entries_of_a_list(masks, data):
    encoded = EncodedMasks.from_rles(masks)
    assert list(encoded) == masks and len(encoded) == len(masks)
    places = st.integers(0, len(masks) - 1)
    index = data.draw(st.lists(places, max_size=15)) if masks else []
    assert list(encoded[np.array(index, dtype=int)]) == [masks[i] for i in index]
    chosen = data.draw(st.lists(st.booleans(), min_size=len(masks), max_size=len(masks)))
    assert list(encoded[np.array(chosen, dtype=bool)]) == \
        [mask for mask, is_chosen in zip(masks, chosen, strict=True) if is_chosen]
    start, stop = data.draw(st.tuples(st.integers(0, 13), st.integers(0, 13)))
    part = encoded[start:stop]
    assert list(part) == masks[start:stop]
    assert list(part[np.arange(len(part))[::-1]]) == masks[start:stop][::-1]


@given(st.lists(rles, max_size=4))
def test_parts_are_concatenated_like_lists(parts):
    encoded = EncodedMasks.concatenate([EncodedMasks.from_rles(part) for part in parts])
    assert list(encoded) == sum(parts, [])


def test_slice_copies_no_counts():
    encoded = EncodedMasks.from_rles([{'size': [1, 1], 'counts': b'abc'}] * 4)
    assert np.shares_memory(encoded[1:3].counts, encoded.counts)
    with pytest.raises(ValueError, match=r'slices of step 1, got slice\(None, None, 2\)'):
        encoded[::2]


def test_areas_are_those_of_the_pixels():
    pixels = np.random.default_rng(0).random((7, 5, 8)) < np.linspace(0, 1, 8)
    masks = mask_utils.encode(np.asfortranarray(pixels, dtype=np.uint8))
    assert EncodedMasks.from_rles(masks).areas().tolist() == pixels.sum((0, 1)).tolist()
    assert EncodedMasks.from_rles([]).areas().tolist() == []


@pytest.mark.parametrize('mask', [[[0, 0, 5, 0, 5, 5]], {'size': [8, 8], 'counts': [1, 63]}, None])
def test_only_compressed_masks_are_taken(mask):
    with pytest.raises(ValueError, match=r'compressed run-length encoding, got .* at index 1\.'):
        EncodedMasks.from_rles([{'size': [1, 1], 'counts': 'a'}, mask])
