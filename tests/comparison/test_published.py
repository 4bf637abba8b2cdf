"""What is published of a comparison fits together: rows, single runs, trials."""
from pathlib import Path

import pandas as pd
import pytest
from bacl.comparison import read_comparison

FOLDER = Path(__file__).parents[2] / 'configs/comparison/stage2'
CALIBRATOR = 'model.test_cfg.rcnn.calibrator.'


@pytest.fixture(scope='module')
def rows():
    return pd.read_csv(FOLDER / 'comparison.csv').fillna({'calibrator': '', 'error': ''}).set_index(
        'row')


@pytest.fixture(scope='module')
def runs():
    return pd.read_csv(FOLDER / 'runs.csv')


def test_every_method_has_its_rows_with_the_same_seeds(rows, runs):
    expected = {name for method in read_comparison(FOLDER / 'methods.yml').methods for name in (
        method.name, *(f'{method.name} + {kind}' for kind in method.calibrators))}
    assert set(rows.index) == set(runs['row']) == expected
    assert not rows['error'].any()
    assert runs.groupby('row')['seed'].nunique().to_dict() == rows['seeds'].to_dict()


@pytest.mark.parametrize('metric', ['AP', 'APr', 'APc', 'APf', 'fixed_AP', 'exhaustive_AP'])
def test_rows_are_means_of_the_runs(rows, runs, metric):
    means = runs.groupby('row')[metric].mean()
    assert rows[metric].to_dict() == pytest.approx(means.to_dict(), abs=2e-4)
    if metric not in ('AP', 'APr'):
        return
    values = runs.set_index(['seed', 'row'])[metric].unstack('row')
    for other, title in (('BCE*', 'baseline'), ('BACL', 'reference')):  # with the same seeds
        gains = values.sub(values[other], axis=0).mean().drop(other)
        assert rows[f'{metric}_over_{title}'].drop(other).to_dict() == pytest.approx(
            gains.to_dict(), abs=3e-4)


def test_rows_have_the_settings_that_were_best_on_the_held_out_images(rows):
    trials = pd.read_csv(FOLDER / 'trials.csv')
    kind = trials['settings'].str.extract(rf'{CALIBRATOR}type=(\w+)')[0].fillna('')
    assert len(trials) > 2 * len(rows)
    for (method, calibrator), tried in trials.groupby(['method', kind]):
        row = rows[(rows['method'] == method) & (rows['calibrator'] == calibrator)].iloc[0]
        chosen = tried.loc[tried['held-out AP'].idxmax(), 'settings']
        assert row['settings'] == ' '.join(
            part for part in chosen.split(' ') if not part.startswith(f'{CALIBRATOR}type')), row


def test_the_page_says_what_the_rows_do(rows):
    """Claims of configs/comparison/README.md: other numbers may need other words."""
    numbers = rows.select_dtypes('number')
    plain = rows[rows['calibrator'] == '']
    assert set(plain.nlargest(3, 'AP').index) == {'LOCE', 'BACL', 'BACL with RFS'}
    assert rows.loc['LOCE', 'AP_over_reference_low'] > 0
    seesaw = rows.loc['Seesaw']
    assert seesaw['AP_over_reference'] < 0 < seesaw['AP_over_reference_high']
    gain = numbers.loc['BACL'] - numbers.loc['BCE*']
    assert gain['AP'] > gain['fixed_AP'] > gain['exhaustive_AP'] > 0 > gain['APf'] > -2
    assert gain['AP'] > (numbers.loc['BACL, FHM alone'] - numbers.loc['BCE*'])['AP'] > (
        numbers.loc['BACL, FCBL alone'] - numbers.loc['BCE*'])['AP'] > 0
    for metric in ('AP', 'fixed_AP'):
        assert rows[metric].idxmax() == 'cRT + NorCal'
    calibrated = rows[rows['calibrator'] != '']
    assert (calibrated['AP'] >= plain['AP'].loc[calibrated['method']].to_numpy() - 0.05).all()
    calibrated_gain = numbers.loc['BACL + LogitAdjustment'] - numbers.loc['BCE* + LogitAdjustment']
    assert 0 < calibrated_gain['AP'] < gain['AP'] / 2
    losses = plain[(plain['idea'] == 'loss')]
    over_plain = losses['exhaustive_AP'] - rows.loc[losses['plain'], 'exhaustive_AP'].to_numpy()
    assert abs(over_plain.median()) < 0.5 and over_plain['Seesaw'] > 2
