import numpy as np
import pytest
import torch
from bacl.feature_bank import FeatureTable, LoadFeatureBankSample

IMAGE = dict(img_id=2, img_path='2.jpg', instances=[])


def test_jittered_boxes_are_sixteen_of_each_object_in_its_order(bank):
    load = LoadFeatureBankSample(str(bank), 'train', jittered=True)
    for _ in range(20):
        sample = load(dict(IMAGE))
        inputs, gt = sample['inputs'], sample['data_samples'].gt_instances
        assert inputs['jittered'] == 16 * len(gt) == 32
        boxes = torch.from_numpy(inputs['boxes'][-32:])
        nearest = torch.cdist(boxes, gt.bboxes).argmin(1)
        # One object is three times as large as the other, so that no jitter confuses them.
        assert nearest.tolist() == [0] * 16 + [1] * 16


def test_every_view_and_draw_comes_in_turn_and_by_the_seed(bank):
    load = LoadFeatureBankSample(str(bank), 'train', jittered=True)
    np.random.seed(0)
    first = [load(dict(IMAGE)) for _ in range(40)]
    assert {sample['data_samples'].flip for sample in first} == {False, True}
    assert len({int(sample['inputs']['rows'][-1]) for sample in first}) == 4  # 2 views, 2 draws
    np.random.seed(0)
    again = [load(dict(IMAGE)) for _ in range(40)]
    assert all((a['inputs']['rows'] == b['inputs']['rows']).all()
               for a, b in zip(first, again, strict=True))


def test_rows_are_those_of_the_boxes(bank):
    sample = LoadFeatureBankSample(str(bank), 'train', jittered=True)(dict(IMAGE))
    table = FeatureTable(bank, 'train')
    for row, box in zip(sample['inputs']['rows'], sample['inputs']['boxes'], strict=True):
        assert (table.boxes(row, row + 1)[0] == box).all()
    proposals = sample['data_samples'].proposals.bboxes
    assert torch.equal(proposals, torch.from_numpy(sample['inputs']['boxes'][:len(proposals)]))


@pytest.mark.parametrize('split', ['train', 'val'])
def test_an_image_that_is_not_in_the_bank_has_no_sample(split, bank):
    assert LoadFeatureBankSample(str(bank), split)(dict(IMAGE, img_id=77)) is None
