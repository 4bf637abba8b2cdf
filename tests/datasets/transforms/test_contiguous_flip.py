import bacl  # noqa: F401
import numpy as np
import pytest
import torch
from bacl.datasets.transforms import ContiguousRandomFlip
from mmdet.datasets.transforms import RandomFlip
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks


def sample(shape: tuple[int, ...], dtype=np.uint8) -> dict:
    rng = np.random.default_rng(0)
    return dict(img=rng.integers(0, 256, shape).astype(dtype),
                gt_bboxes=HorizontalBoxes(np.array([[1, 2, 3, 5]], np.float32)),
                gt_masks=BitmapMasks(rng.integers(0, 2, (1, *shape[:2])).astype(np.uint8),
                                     *shape[:2]),
                gt_seg_map=rng.integers(0, 9, shape[:2]).astype(np.uint8))


@pytest.mark.parametrize('shape', [(7, 9, 3), (7, 9, 1), (7, 9), (1, 1, 3), (6, 8, 4)])
@pytest.mark.parametrize('dtype', [np.uint8, np.float32])
@pytest.mark.parametrize('prob, direction', [
    (0.5, 'horizontal'), (0.5, 'vertical'), (1.0, 'diagonal'), (0.0, 'horizontal'),
    ([0.3, 0.2, 0.4], ['horizontal', 'vertical', 'diagonal'])])
def test_result_is_that_of_random_flip(shape, dtype, prob, direction):
    for seed in range(6):
        results, states = [], []
        for transform in (ContiguousRandomFlip, RandomFlip):
            np.random.seed(seed)
            results.append(transform(prob=prob, direction=direction)(sample(shape, dtype)))
            states.append(np.random.random())
        ours, theirs = results
        assert ours.keys() == theirs.keys() and states[0] == states[1]
        assert ours['img'].dtype == dtype and ours['img'].shape == shape
        for key in ('img', 'gt_seg_map', 'homography_matrix'):
            np.testing.assert_array_equal(ours.get(key), theirs.get(key))
        assert torch.equal(ours['gt_bboxes'].tensor, theirs['gt_bboxes'].tensor)
        np.testing.assert_array_equal(ours['gt_masks'].masks, theirs['gt_masks'].masks)
        assert (ours['flip'], ours['flip_direction']) == (theirs['flip'], theirs['flip_direction'])


def test_image_lies_in_memory_in_order_and_the_original_is_untouched():
    before = sample((7, 9, 3))
    image = before['img'].copy()
    original = before['img']
    after = ContiguousRandomFlip(prob=1.0)(before)
    assert after['img'].flags.c_contiguous
    assert not np.shares_memory(after['img'], original)
    np.testing.assert_array_equal(original, image)
