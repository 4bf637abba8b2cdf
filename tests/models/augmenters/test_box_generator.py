import bacl  # noqa: F401
import pytest
import torch
from bacl.models.augmenters import GTBoxGenerator, jitter_boxes
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.golden('bacl_fhm.npz')
def test_equals_official_boxes_with_the_same_draws(golden):
    signs = golden['box_signs'].t()
    assert torch.equal(GTBoxGenerator().signs.double(), signs.double())
    boxes = jitter_boxes(golden['box_gt'], signs * golden['box_uniform'].t(),
                         (int(golden['box_img_h']), int(golden['box_img_w'])))
    torch.testing.assert_close(boxes, golden['box_proposals'], rtol=1e-12, atol=1e-12)


def test_full_offsets_move_a_side_by_a_sixth_of_the_size():
    boxes = jitter_boxes(torch.tensor([[10., 20., 22., 50.]]),
                         torch.tensor([[-1., 1., 1., -1.]]), (100, 100))
    assert boxes.tolist() == [[8, 25, 24, 45]]


@given(seed=st.integers(0, 10**6), num_boxes=st.integers(0, 4))
def test_boxes_stay_ordered_in_the_image_and_near_their_ground_truth(seed, num_boxes):
    torch.manual_seed(seed)
    corner = torch.rand(num_boxes, 2) * 60
    gt = torch.cat([corner, corner + 3 + torch.rand(num_boxes, 2) * 30], dim=1)
    boxes = GTBoxGenerator()(gt, (64, 80))
    assert boxes.shape == (16 * num_boxes, 4)
    assert (boxes >= 0).all() and (boxes[:, 0::2] <= 79).all() and (boxes[:, 1::2] <= 63).all()
    assert (boxes[:, 2:] >= boxes[:, :2]).all()
    inside = gt[:, 2:].repeat_interleave(16, 0) - gt[:, :2].repeat_interleave(16, 0)
    limits = gt.new_tensor([79, 63]).repeat(2)
    shift = (boxes - gt.repeat_interleave(16, 0).minimum(limits)).abs()
    assert (shift <= inside.repeat(1, 2) / 6 + 1e-4).all()


@pytest.mark.parametrize('gt, img_shape', [
    ([], (1, 1)), ([[0, 0, 1, 1]], (1, 1)), ([[5, 5, 5, 5]], (9, 9)), ([[-3, -3, 99, 99]], (9, 9)),
    ([[0, 0, 1e4, 1e4]], (10**4, 10**4))])
@pytest.mark.parametrize('dtype', [torch.float32, torch.float16])
def test_one_box_or_none_or_one_without_area_gives_boxes_in_the_image(gt, img_shape, dtype):
    boxes = GTBoxGenerator()(torch.tensor(gt, dtype=dtype).view(-1, 4), img_shape)
    assert boxes.shape == (16 * len(gt), 4) and boxes.dtype == dtype
    limits = torch.tensor(img_shape[::-1] * 2, dtype=dtype) - 1
    assert (boxes >= 0).all() and (boxes <= limits).all() and (boxes[:, 2:] >= boxes[:, :2]).all()


def test_every_sign_pattern_occurs_once_per_ground_truth_and_magnitudes_differ():
    gt = torch.tensor([[40., 40., 60., 60.]]).repeat(2, 1)
    shift = (GTBoxGenerator()(gt, (100, 100)) - gt[0]).view(2, 16, 4)
    for signs in shift.sign().int().tolist():
        assert len({tuple(row) for row in signs}) == 16
    assert not torch.allclose(shift[0], shift[1])
