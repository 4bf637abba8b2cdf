import bacl  # noqa: F401
import numpy as np
import pytest
import torch
from bacl.datasets import paste_image_level_regions
from bacl.datasets.image_level.paste_regions import paste_region, resized, visible_parts
from hypothesis import given
from hypothesis import strategies as st
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import HorizontalBoxes
from mmengine.structures import InstanceData

HEIGHT, WIDTH = 40, 60


def sample(boxes, labels, value, shape=(HEIGHT, WIDTH), **meta):
    """A sample as PackDetInputs gives it, all of one grey."""
    data = DetDataSample(metainfo=dict(img_path='a.jpg', **meta))
    data.gt_instances = InstanceData(
        bboxes=HorizontalBoxes(torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)),
        labels=torch.tensor(labels, dtype=torch.int64))
    return dict(inputs=torch.full((3, *shape), value, dtype=torch.uint8), data_samples=data)


def image(boxes=((5, 5, 15, 15), (30, 10, 50, 30)), labels=(0, 1)):
    return sample(boxes, labels, 10)


def picture(label=2, box=(4, 4, 16, 20), value=200):
    return sample([box], [label], value, shape=(24, 20), source='image_level')


@given(seed=st.integers(0, 2**31), size=st.floats(0.01, 1), box=st.tuples(
    st.integers(0, 19), st.integers(0, 23), st.integers(1, 20), st.integers(1, 24)))
def test_what_is_pasted_lies_in_the_image_and_is_its_last_object(seed, size, box):
    x1, y1, width, height = box
    target = image()
    np.random.seed(seed)
    paste_region(target, picture(box=(x1, y1, min(x1 + width, 20), min(y1 + height, 24))), size,
                 0.3)
    gt = target['data_samples'].gt_instances
    x1, y1, x2, y2 = gt.bboxes.tensor[-1].int().tolist()
    assert 0 <= x1 < x2 <= WIDTH and 0 <= y1 < y2 <= HEIGHT
    assert gt.labels[-1] == 2
    is_pasted = torch.zeros(3, HEIGHT, WIDTH, dtype=torch.bool)
    is_pasted[:, y1:y2, x1:x2] = True
    assert torch.equal(target['inputs'] == 200, is_pasted)
    assert target['inputs'].dtype == torch.uint8


def test_size_and_aspect_of_a_region():
    patch = torch.zeros(3, 16, 12, dtype=torch.uint8)
    height, width = resized(patch, 0.5, (100, 200)).shape[1:]
    assert height * width == pytest.approx(50 ** 2, rel=0.05)
    assert height / width == pytest.approx(16 / 12, rel=0.05)
    assert resized(patch, 1, (20, 1000)).shape[1:] == (20, 15)  # it has to fit
    assert resized(patch, 0.001, (20, 20)).shape[1:] == (1, 1)


def test_what_is_left_of_a_box_behind_a_rectangle():
    boxes = torch.tensor([[0., 0, 10, 10], [4, 2, 8, 8], [0, 5, 10, 15], [20, 0, 30, 10],
                          [0, 0, 10, 40], [5, 5, 5, 5]])
    left, share = visible_parts(boxes, torch.tensor([3., 0, 10, 12]))
    assert share.tolist() == pytest.approx([0.3, 0, 0.51, 1, 1 - 84 / 400, 1])
    # A side that is covered from corner to corner moves; all others stay.
    assert left.tolist() == [[0, 0, 3, 10], [4, 2, 8, 8], *boxes[2:].tolist()]
    inner, share = visible_parts(boxes[:1], torch.tensor([0., 4, 10, 7]))
    assert inner.tolist() == boxes[:1].tolist() and share.tolist() == pytest.approx([0.7])


@pytest.mark.parametrize(('min_visible', 'expected'), [(0, [0, 1, 2]), (0.3, [1, 2])])
def test_hidden_objects_are_removed(monkeypatch, min_visible, expected):
    monkeypatch.setattr(np.random, 'randint', lambda high: 0)  # at the upper left corner
    target = image([[1, 1, 9, 9], [30, 10, 50, 30]])
    paste_region(target, picture(), 0.5, min_visible)
    gt = target['data_samples'].gt_instances
    assert gt.labels.tolist() == expected
    assert gt.bboxes.tensor[-2].tolist() == [30, 10, 50, 30]


def test_an_image_without_objects_gets_one():
    target = image([], [])
    paste_region(target, picture(), 0.5, 0.3)
    assert target['data_samples'].gt_instances.labels.tolist() == [2]


def test_a_batch_pairs_images_and_pictures_in_their_order():
    batch = [image(), picture(2, value=100), image(), picture(1, value=200), image()]
    collated = paste_image_level_regions(batch)
    assert len(collated['inputs']) == len(collated['data_samples']) == 5
    images, pictures = (collated['data_samples'][start:4:2] for start in (0, 1))
    assert [each.pair_id for each in images] == [each.pair_id for each in pictures] == [0, 1]
    assert [each.gt_instances.labels[-1].item() for each in images] == [2, 1]
    assert [inputs.max().item() for inputs in collated['inputs']] == [100, 100, 200, 200, 10]
    assert 'pair_id' not in collated['data_samples'][4]


@pytest.mark.parametrize('kind', [image, picture])
def test_a_batch_of_one_kind_is_refused(kind):
    with pytest.raises(ValueError, match='batches with detection images and image-level pictures'):
        paste_image_level_regions([kind(), kind()])
    paste_image_level_regions([kind(), kind()], prob=0.0)


def test_masks_are_refused():
    target = image()
    target['data_samples'].gt_instances.masks = torch.zeros(2, HEIGHT, WIDTH)
    with pytest.raises(ValueError, match=r"got \['masks'\] too. Set with_mask=False"):
        paste_image_level_regions([target, picture()])


def test_without_pasting_a_batch_stays_as_it_is():
    batch = [image(), picture()]
    collated = paste_image_level_regions(batch, prob=0.0)
    assert collated['inputs'][0].unique().tolist() == [10]
    assert not any('pair_id' in each for each in collated['data_samples'])


def test_what_is_drawn_depends_on_the_seed_alone():
    def collate(seed):
        np.random.seed(seed)
        return paste_image_level_regions([image(), picture()])['inputs'][0]
    assert torch.equal(collate(1), collate(1)) and not torch.equal(collate(1), collate(2))


@pytest.mark.parametrize('kwargs', [
    dict(prob=2), dict(size_range=(0, 1)), dict(size_range=(0.5, 0.1)), dict(min_visible=-1)])
def test_arguments_out_of_range_are_refused(kwargs):
    with pytest.raises(ValueError, match=f'{next(iter(kwargs))}='):
        paste_image_level_regions([image(), picture()], **kwargs)


@pytest.mark.parametrize('prob', [0.0, 1.0])
def test_pictures_with_several_boxes_are_refused(prob):
    four = sample([[0, 0, 5, 5]] * 4, [1] * 4, 0, source='image_level')
    with pytest.raises(ValueError, match='one box, got 4.*mosaics'):
        paste_image_level_regions([image(), four], prob=prob)


def test_a_picture_without_a_class_is_not_pasted():
    collated = paste_image_level_regions([image(), picture(label=-1), image(), picture(label=2)])
    assert [each.get('pair_id') for each in collated['data_samples']] == [None, None, 1, 1]
    assert collated['inputs'][0].unique().tolist() == [10]
    assert collated['data_samples'][0].gt_instances.labels.tolist() == [0, 1]
    assert collated['inputs'][2].max() == 200
