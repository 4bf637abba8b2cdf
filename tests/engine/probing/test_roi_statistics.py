from types import SimpleNamespace

import bacl  # noqa: F401
import numpy as np
import pytest
import torch
from bacl.engine.probing.roi_statistics import NUM_IOU_BINS, RegressionInputs, RoIStatistics
from hypothesis import given
from hypothesis import strategies as st
from mmdet.models.losses import GIoULoss, L1Loss
from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor

C, STRIDES, FINEST = 4, [4, 8, 16], 28
EXTRACTOR = SingleRoIExtractor(dict(type='RoIAlign', output_size=7), 8, STRIDES, FINEST)


def boxes(number, generator):
    corner = torch.rand(number, 2, generator=generator) * 50
    return torch.cat([corner, corner + 5 + torch.rand(number, 2, generator=generator) * 150], 1)


def image(num_pos, num_neg, generator):
    truth = boxes(num_pos, generator)
    is_gt = torch.rand(num_pos, generator=generator) < 0.3
    near = truth + torch.rand(num_pos, 4, generator=generator) * 5
    return SimpleNamespace(
        pos_gt_labels=torch.randint(C, (num_pos, ), generator=generator), pos_gt_bboxes=truth,
        pos_priors=torch.where(is_gt[:, None], truth, near), pos_is_gt=is_gt.to(torch.uint8),
        neg_priors=boxes(num_neg, generator))


def iou(a, b):
    width = max(0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0, min(a[3], b[3]) - max(a[1], b[1]))
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - width * height
    return width * height / union


@given(st.lists(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=3),
                min_size=1, max_size=3), st.integers(0, 10**6))
def test_sums_agree_with_a_loop_over_rois(batches, seed):
    generator = torch.Generator().manual_seed(seed)
    statistics, loss = RoIStatistics(C, len(STRIDES), 'cpu'), L1Loss()
    expected = {name: np.zeros(size) for name, size in statistics.sizes.items()}
    losses, window = np.zeros(NUM_IOU_BINS + 1), np.zeros(3)
    for batch in batches:
        samples = [image(*numbers, generator) for numbers in batch]
        total = sum(numbers[0] for numbers in batch)
        pred, target = (torch.rand(total, 4, generator=generator) for _ in range(2))
        regression = RegressionInputs(pred, target, torch.ones_like(pred)) if total else None
        statistics.add(samples, EXTRACTOR, loss, regression)
        classes, row = set(), 0
        for sample in samples:
            for label, box, truth, is_gt in zip(
                    sample.pos_gt_labels.tolist(), sample.pos_priors, sample.pos_gt_bboxes.tolist(),
                    sample.pos_is_gt.tolist(), strict=True):
                expected['positives'][label] += 1
                classes.add(label)
                side = ((box[2] - box[0]) * (box[3] - box[1])).sqrt()
                level = min(max(int(torch.log2(side / FINEST + 1e-6).floor()), 0), 2)
                expected['level_positives'][level] += 1
                overlap = float(iou(box.tolist(), truth))
                position = NUM_IOU_BINS if is_gt else min(int(overlap * NUM_IOU_BINS), 49)
                expected['iou_count'][position] += 1
                losses[position] += (pred[row] - target[row]).abs().sum().item()
                row += 1
            expected['negatives'] += len(sample.neg_priors)
            for box in sample.neg_priors:
                side = ((box[2] - box[0]) * (box[3] - box[1])).sqrt()
                level = min(max(int(torch.log2(side / FINEST + 1e-6).floor()), 0), 2)
                expected['level_negatives'][level] += 1
            window[:2] += len(sample.pos_priors), len(sample.neg_priors)
        expected['batches_with_class'][list(classes)] += 1
        window[2] += len(classes)
    assert statistics.take_window().tolist() == window.tolist()
    assert statistics.take_window().tolist() == [0, 0, 0]
    sums = statistics.take()
    for name, values in expected.items():
        assert sums[name].tolist() == values.tolist(), name
    np.testing.assert_allclose(sums['regression_loss'], losses, rtol=1e-5)
    assert all(not values.any() for values in statistics.take().values())


def test_hallucinated_samples_count_without_the_background():
    statistics = RoIStatistics(C, 0, 'cpu')
    statistics.add_hallucinated(torch.tensor([0, 3, 3, C]))
    statistics.add_hallucinated(torch.tensor([], dtype=torch.int64))
    assert statistics.take()['hallucinated'].tolist() == [1, 0, 0, 2]


@pytest.mark.parametrize('weight', [torch.ones(1, 4), torch.zeros(1, 4)])
def test_losses_of_decoded_boxes_are_one_number_per_roi(weight):
    statistics = RoIStatistics(C, 0, 'cpu')
    sample = image(1, 0, torch.Generator().manual_seed(0))
    sample.pos_is_gt[:] = 0
    pred, target = torch.tensor([[0., 0, 2, 2]]), torch.tensor([[0., 0, 2, 1]])
    statistics.add([sample], None, GIoULoss(), RegressionInputs(pred, target, weight))
    # GIoU is the IoU here, 1/2.
    assert statistics.take()['regression_loss'].sum() == pytest.approx(0.5 * weight[0, 0])


@pytest.mark.parametrize('box', [[0, 0, 0, 0], [5, 0, 1, 4]])
def test_boxes_without_area_are_counted(box):
    statistics = RoIStatistics(C, 3, 'cpu')
    flat = torch.tensor([box], dtype=torch.float32)
    sample = SimpleNamespace(pos_gt_labels=torch.tensor([1]), pos_gt_bboxes=flat, pos_priors=flat,
                             pos_is_gt=torch.tensor([0], dtype=torch.uint8), neg_priors=flat)
    statistics.add([sample], EXTRACTOR, None, None)
    sums = statistics.take()
    assert sums['iou_count'].sum() == 1 and sums['level_positives'].tolist() == [1, 0, 0]
