import math

import bacl  # noqa: F401
import numpy as np
import pytest
from bacl.evaluation import LVISResult


@pytest.fixture
def result():
    """Three categories: precision rises with the IoU index; the last has small objects only."""
    precision = np.full((10, 101, 3, 4), np.nan)
    precision[:, :, 0] = (np.arange(10) / 10)[:, None, None]
    precision[:, :, 1] = 0.5
    precision[:, :, 2, :2] = 0.2
    categories = [{'id': i, 'frequency': f} for i, f in ((2, 'f'), (3, 'r'), (9, 'f'))]
    return LVISResult(precision, categories)


def test_class_ap_is_the_mean_over_thresholds_and_recalls(result):
    np.testing.assert_allclose(result.class_ap(), [0.45, 0.5, 0.2], rtol=1e-12)


def test_class_ap_at_one_threshold(result):
    np.testing.assert_allclose(result.class_ap(iou=0.75), [0.5, 0.5, 0.2], rtol=1e-12)
    np.testing.assert_allclose(result.class_ap(iou=0.95), [0.9, 0.5, 0.2], rtol=1e-12)


def test_summary_averages_the_categories_with_ground_truth(result):
    summary = result.summary()
    assert summary.pop('APc') != summary.get('APc')  # NaN
    assert summary == pytest.approx({
        'AP': 1.15 / 3, 'AP50': 0.7 / 3, 'AP75': 0.4, 'APs': 1.15 / 3, 'APm': 0.475, 'APl': 0.475,
        'APr': 0.5, 'APf': 0.325})


def test_class_without_ground_truth_is_nan(result):
    assert [math.isnan(ap) for ap in result.class_ap(area='large')] == [False, False, True]


@pytest.mark.parametrize('argument', [{'iou': 0.52}, {'area': 'tiny'}])
def test_what_was_not_evaluated_is_refused(result, argument):
    with pytest.raises(ValueError, match=f'{next(iter(argument))}='):
        result.class_ap(**argument)
