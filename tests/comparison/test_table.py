import numpy as np
import pandas as pd
import pytest
from bacl.comparison import Method, comparison_frame, rank_correlation
from bacl.comparison.page import write_comparison_page
from bacl.comparison.plan import Entry
from scipy.stats import kendalltau

BASE, GOOD, NOISY = (Entry(Method(name, 'config', 'loss', 'base'), '', {'optim_wrapper.lr': 2.0})
                     for name in ('base', 'good', 'noisy'))
CALIBRATED = Entry(BASE.method, 'NorCal', {})


@pytest.fixture
def measured():
    """Results and statistics of three rows: one always better, one as often better as worse."""
    rng = np.random.default_rng(0)
    results, statistics = {}, {}
    for seed in range(3):
        images = rng.normal(0, 0.03, 200)  # what all runs share: which images are drawn
        for entry, gain in ((BASE, 0), (GOOD, 0.02), (NOISY, 0.02 * (seed - 1)), (CALIBRATED, 0)):
            noise = rng.normal(0, 0.002, 200)
            ap = 0.3 + 0.01 * seed + gain
            results[entry.name, seed] = {'AP': ap, 'APr': ap / 2, 'APc': None, 'cpu_seconds': 10.0,
                                         'peak_mb': 700.0}
            statistics[entry.name, seed] = {
                'drawn_all': ap + images + noise, 'drawn_r': ap / 2 + images + noise,
                'calibration_error': np.array(0.1), 'state_mb': np.array(2.5)}
    return results, statistics


@pytest.fixture
def frame(measured):
    return comparison_frame([BASE, NOISY, GOOD], *measured, {}, 'base', 'good')


def test_rows_have_means_and_deviations_of_the_seeds(frame):
    assert list(frame['row']) == ['good', 'base', 'noisy']
    base = frame.set_index('row').loc['base']
    assert base['AP'] == pytest.approx(31) and base['AP_std'] == pytest.approx(1)
    assert base['APr'] == pytest.approx(15.5) and np.isnan(base['APc'])
    assert base['calibration_error'] == pytest.approx(10) and base['state_mb'] == 2.5
    assert base['cpu_seconds'] == 10 and base['peak_mb'] == 700
    assert base['settings'] == 'optim_wrapper.lr=2.0'


def test_intervals_are_of_paired_differences_over_images_and_seeds(frame):
    rows = frame.set_index('row')
    good, noisy = rows.loc['good'], rows.loc['noisy']
    assert good['AP_over_baseline'] == pytest.approx(2)
    # Images alone vary by 3: paired, they cancel. The luck of the training is pooled over rows.
    assert 0 < good['AP_over_baseline_low'] < 2 < good['AP_over_baseline_high'] < 4
    assert noisy['AP_over_baseline'] == pytest.approx(0, abs=1e-9)
    assert noisy['AP_over_baseline_low'] < -1 < 1 < noisy['AP_over_baseline_high']
    assert rows.loc['base', ['AP_over_baseline', 'AP_over_baseline_low']].isna().all()
    assert rows.loc['base', 'AP_over_reference'] == pytest.approx(-2)
    assert good['APr_over_baseline'] == pytest.approx(1)


def test_a_row_that_failed_says_why_and_one_seed_has_no_deviation(measured):
    results, statistics = measured
    one = {key: value for key, value in results.items() if key[1] == 0}
    frame = comparison_frame([Entry(Method('gone', 'c', 'loss', 'base'), '', {}), BASE], one,
                             statistics, {('gone', 0): 'no luck'}, 'base', 'good')
    assert list(frame['row']) == ['base', 'gone'] and frame['AP_std'].isna().all()
    assert list(frame['error']) == ['', 'seed 0: no luck'] and list(frame['seeds']) == [1, 0]


@pytest.mark.parametrize('num_seeds', [2, 5])
def test_all_intervals_together_are_wide_enough_for_the_luck_of_few_seeds(num_seeds):
    rng = np.random.default_rng(0)
    names = [f'row {number}' for number in range(20)]
    entries = [Entry(Method(name, 'config', 'loss', 'base'), '', {}) for name in names]
    covered = some = 0
    for _ in range(60):
        images = rng.normal(0, 0.005, (20, 400))  # in draws, as large as in the test itself
        luck = rng.normal(0, 0.005, 20)
        results, statistics = {}, {}
        for seed in range(num_seeds):
            for name, drawn, gain in zip(['base', *names], [np.zeros(400), *images],
                                         [0, *luck + rng.normal(0, 0.01, 20)], strict=True):
                results[name, seed] = {'AP': 0.3 + gain, 'APr': 0.3}
                statistics[name, seed] = {'drawn_all': 0.3 + drawn, 'drawn_r': np.full(400, 0.3),
                                          'calibration_error': np.zeros(()),
                                          'state_mb': np.zeros(())}
        frame = comparison_frame([BASE, *entries], results, statistics, {}, 'base', 'base')
        rows = frame[frame['row'] != 'base']
        holds = (rows['AP_over_baseline_low'] <= 0) & (rows['AP_over_baseline_high'] >= 0)
        covered += holds.all()
        some += (np.abs(rows['AP_over_baseline']) > 2 * 100 * np.hypot(
            0.005, 0.01 / num_seeds ** 0.5)).any()
    assert covered > 0.85 * 60
    assert some > 0.3 * 60  # two standard errors would often accuse one of the twenty


def test_rank_correlation_is_that_of_scipy():
    ours, paper = [3., 1., 2., 5., 4., 4.], [2., 1., 3., 4., 4., 5.]
    found = rank_correlation(ours, paper)
    assert found['tau'] == pytest.approx(kendalltau(ours, paper)[0])
    assert found['low'] <= found['tau'] <= found['high']
    assert rank_correlation(ours, ours)['low'] == pytest.approx(1)
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, 6, (10_000, 6))
    # Most of the draws are repeated: each is computed once.
    kinds, numbers = np.unique(np.sort(drawn), axis=0, return_inverse=True)
    slow = np.array([kendalltau(np.array(ours)[kind], np.array(paper)[kind])[0]
                     for kind in kinds])[numbers.ravel()]
    assert found['low'] == pytest.approx(np.nanquantile(slow, 0.025))
    with pytest.raises(ValueError, match='at least three methods, got 2'):
        rank_correlation([1, 2], [1, 2])


def test_the_page_has_all_rows(measured, tmp_path):
    frame = comparison_frame([BASE, GOOD, CALIBRATED], *measured, {}, 'base', 'good')
    page = write_comparison_page(tmp_path, frame, pd.DataFrame(
        {'method': ['base'], 'settings': ['lr=1'], 'held-out AP': [30.5]}), 'base')
    text = page.read_text()
    assert 'base + NorCal' in text and 'AP of rare classes against AP' in text
    table = pd.read_csv(tmp_path / 'csv/comparison.csv')
    assert list(table['row']) == list(frame['row'])
    assert pd.read_csv(tmp_path / 'csv/trials.csv')['held-out AP'][0] == 30.5


def test_bars_of_the_picture_are_standard_errors_pooled_over_the_rows(measured, tmp_path):
    frame = comparison_frame([BASE, GOOD], *measured, {}, 'base', 'good')
    trials = pd.DataFrame(columns=['method', 'settings', 'held-out AP'])
    for seeds, deviations, expected in (([3, 1], [0.6, np.nan], [0.6 / 3 ** 0.5, 0.6]),
                                        ([3, 2], [0.6, 0.3], [0.3, 0.27 ** 0.5 / 2 ** 0.5]),
                                        ([1, 1], [np.nan, np.nan], [np.nan, np.nan])):
        shown = frame.assign(seeds=seeds, AP_std=deviations)
        page = write_comparison_page(tmp_path, shown, trials, 'base')
        found = pd.read_csv(tmp_path / 'csv/ap_and_rare.csv')['AP_error']
        np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert 'held-out training images' not in page.read_text()  # nothing was tuned
