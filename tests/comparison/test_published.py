"""What is published of a comparison fits together: rows, single runs, trials."""
from pathlib import Path

import pandas as pd
import pytest
from bacl.comparison import Data, Plan, read_comparison
from bacl.comparison.trials import read_trials, settings_text

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / 'configs/comparison/stage2'
PUBLISHED = sorted(path.parent for path in ROOT.glob('configs/comparison/*/comparison.csv'))


def read_rows(folder):
    frame = pd.read_csv(folder / 'comparison.csv', dtype={'calibrator': str, 'error': str})
    return frame.fillna({'calibrator': '', 'error': ''}).set_index('row')


@pytest.fixture(scope='module')
def rows():
    return read_rows(FOLDER)


@pytest.mark.parametrize('folder', PUBLISHED, ids=lambda folder: folder.name)
def test_every_method_has_its_rows_with_the_same_seeds(folder):
    rows, runs = read_rows(folder), pd.read_csv(folder / 'runs.csv')
    expected = {name for method in read_comparison(folder / 'methods.yml').methods for name in (
        method.name, *(f'{method.name} + {kind}' for kind in method.calibrators))}
    assert set(rows.index) == expected and not rows['error'].any()
    finished = rows[rows['seeds'] > 0]
    assert len(finished) > 0.6 * len(rows)
    assert runs.groupby('row')['seed'].nunique().to_dict() == finished['seeds'].to_dict()


@pytest.mark.parametrize('folder', PUBLISHED, ids=lambda folder: folder.name)
def test_rows_are_means_of_the_runs(folder):
    rows, runs = read_rows(folder), pd.read_csv(folder / 'runs.csv')
    rows, comparison = rows[rows['seeds'] > 0], read_comparison(folder / 'methods.yml')
    for metric in ('AP', 'APr', 'APc', 'APf', 'fixed_AP', 'exhaustive_AP'):
        means = runs.groupby('row')[metric].mean()
        assert rows[metric].to_dict() == pytest.approx(means.to_dict(), abs=2e-4)
    for metric in ('AP', 'APr'):
        values = runs.set_index(['seed', 'row'])[metric].unstack('row')
        for other, title in ((comparison.baseline, 'baseline'),
                             (comparison.reference, 'reference')):  # with the same seeds
            gains = values.sub(values[other], axis=0).mean().drop(other)
            assert rows[f'{metric}_over_{title}'].drop(other).to_dict() == pytest.approx(
                gains.to_dict(), abs=3e-4)


def test_rows_have_the_settings_that_the_trials_choose(rows):
    comparison = read_comparison(FOLDER / 'methods.yml')
    configs = {method.config: next(ROOT.glob(f'configs/*/{method.config}.py'))
               for method in comparison.methods}
    trials = read_trials(FOLDER / 'trials.csv')
    plan = Plan(comparison, comparison.methods, configs, Data(Path('part'), Path('held_out')), None,
                Path('none'), jobs=1, runs=False, known=trials)
    chosen = {entry.name: settings_text({key: value for key, value in entry.settings.items()
                                         if not key.endswith('.type')})
              for entry in plan.tune('rate')}
    assert chosen == rows['settings'].to_dict()
    # Nothing was left to try, and nothing is listed in vain.
    assert [(trial.method, settings_text(trial.settings)) for trial in plan.trials] == list(trials)


def test_another_table_is_no_list_of_trials():
    with pytest.raises(ValueError, match=r"runs.csv has \['row', 'seed'"):
        read_trials(FOLDER / 'runs.csv')


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
