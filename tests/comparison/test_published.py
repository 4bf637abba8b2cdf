"""What is published of a comparison fits together: rows, single runs, trials."""
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from bacl.comparison import Data, Plan, read_comparison
from bacl.comparison.plan import RATE
from bacl.comparison.trials import read_trials, settings_text

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / 'configs/comparison/stage2'
SHOWN = ['AP', 'APr', 'APf', 'fixed_AP', 'fixed_APr', 'exhaustive_AP', 'calibration_error']
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
    comparison = read_comparison(folder / 'methods.yml')
    expected = {name for method in comparison.methods for name in (
        method.name, *(f'{method.name} + {kind}' for kind in method.calibrators))}
    assert set(rows.index) == expected and not rows['error'].any()
    finished = rows[rows['seeds'] > 0]
    assert len(finished) == len(rows) or comparison.trains_features
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


@pytest.fixture(scope='module')
def plan():
    """The published trials, of which nothing is left to try."""
    comparison = read_comparison(FOLDER / 'methods.yml')
    configs = {method.config: next(ROOT.glob(f'configs/*/{method.config}.py'))
               for method in comparison.methods}
    return Plan(comparison, comparison.methods, configs, Data(Path('part'), Path('held_out')),
                bank=None, stage1=None, work_dir=Path('none'), jobs=1, runs=False,
                known=read_trials(FOLDER / 'trials.csv'))


def test_rows_have_the_settings_that_the_trials_choose(rows, plan):
    chosen = {entry.name: settings_text({key: value for key, value in entry.settings.items()
                                         if not key.endswith('.type')})
              for entry in plan.tune('all')}
    assert chosen == rows['settings'].to_dict()
    # Nothing is listed in vain.
    assert {(trial.method, settings_text(trial.settings)) for trial in plan.trials} == set(
        plan.known)


def test_another_table_is_no_list_of_trials():
    with pytest.raises(ValueError, match=r"runs.csv has \['row', 'seed'"):
        read_trials(FOLDER / 'runs.csv')


def test_the_page_says_what_the_rows_do(rows):
    """Claims of configs/comparison/README.md: other numbers may need other words."""
    numbers = rows.select_dtypes('number')
    plain = rows[rows['calibrator'] == '']
    ahead = ['Seesaw', 'BACL with RFS', 'LOCE']
    assert set(plain['AP'].nlargest(4).index) == {*ahead, 'BACL'}
    assert list(rows.loc[ahead, 'AP_over_reference'].round(1)) == [1.4, 0.7, 0.7]
    assert (rows.loc[ahead, 'AP_over_reference_low'] > 0).all()
    assert plain[['fixed_AP', 'exhaustive_AP']].idxmax().to_list() == ['LOCE', 'LOCE']
    seesaw = numbers.loc['Seesaw'] - numbers.loc['BACL']
    assert seesaw['APr'] > 0.45 * numbers.loc['BACL', 'APr'] and 3.2 < -seesaw['APf'] < 3.4
    gain = numbers.loc['BACL'] - numbers.loc['BCE*']
    assert gain['AP'] > gain['fixed_AP'] > gain['exhaustive_AP'] > 0 > gain['APf'] > -2
    assert gain['AP'] > (numbers.loc['BACL, FHM alone'] - numbers.loc['BCE*'])['AP'] > (
        numbers.loc['BACL, FCBL alone'] - numbers.loc['BCE*'])['AP'] > 0
    assert 1.35 < -gain['APf'] < 1.45
    fcbl = (numbers.loc['BACL'] - numbers.loc['BACL, FHM alone'])[SHOWN]
    assert list(fcbl[['AP', 'fixed_AP']].round(1)) == [0.5, 0.7] and fcbl['exhaustive_AP'] < 0
    calibrated_fcbl = numbers.loc['BACL + LogitAdjustment'] - numbers.loc[
        'BACL, FHM alone + LogitAdjustment']
    assert abs(calibrated_fcbl['AP']) < 0.15
    fhm = (numbers.loc['SCE with FHM'] - numbers.loc['SCE']) - (
        numbers.loc['BACL, FHM alone'] - numbers.loc['BCE*'])
    assert fhm['AP'] < -1 and fhm['fixed_AP'] > 0 and abs(fhm['exhaustive_AP']) < 0.2
    again = numbers.loc['BACL with RFS'] - numbers.loc['BACL']
    assert (again[['AP', 'APr', 'fixed_AP', 'exhaustive_AP']] > 0).all()
    top = ['cRT + NorCal', 'LOCE + NorCal', 'BACL with RFS + LogitAdjustment']
    assert set(rows.nlargest(2, 'AP').index) == set(top[:2])
    assert set(rows.nlargest(3, 'fixed_AP').index) == set(top)
    for metric, names in (('AP', top[:2]), ('fixed_AP', top)):
        assert np.ptp(rows.loc[names, metric]) < 0.5
    calibrated = rows[rows['calibrator'] != '']
    changes = calibrated[SHOWN] - plain.loc[calibrated['method'], SHOWN].to_numpy()
    is_changed = changes['AP'].abs() > 5e-3
    assert (len(changes), is_changed.sum(), changes['AP'].median().round(1)) == (35, 33, 1.7)
    assert (changes.loc[is_changed, 'APr'] > 0).all() and (changes.loc[is_changed, 'APf'] < 0).all()
    assert set(changes[changes['AP'] < 0].index) == {
        'EQL + LogitAdjustment', 'GOL + LogitAdjustment', 'SCE + LogitAdjustment'}
    assert (changes > 5e-3).sum()[['fixed_AP', 'exhaustive_AP']].to_list() == [30, 21]
    assert (changes < -5e-3).sum()[['exhaustive_AP', 'calibration_error']].to_list() == [12, 17]
    worse = calibrated.loc[changes['calibration_error'] > 5e-3, 'calibrator']
    assert len(worse) == 16 and sum(worse == 'NorCal') == sum(calibrated['calibrator'] == 'NorCal')
    better = calibrated.loc[changes['calibration_error'] < -5e-3, 'calibrator']
    assert sum(better == 'LogitAdjustment') == 16
    assert changes.loc['Seesaw + LogitAdjustment'].eq(0).all()
    assert changes.loc['BACL + LogitAdjustment', 'exhaustive_AP'] < 0
    share = (numbers.loc['BCE* + LogitAdjustment'] - numbers.loc['BCE*']) / gain
    kinds = ['AP', 'fixed_AP', 'exhaustive_AP']
    assert list(share[kinds].round(2)) == [0.72, 0.84, 0.19]
    lead = numbers.loc['BACL + LogitAdjustment'] - numbers.loc['BCE* + LogitAdjustment']
    assert list((lead / gain)[kinds].round(2)) == [0.47, 0.37, 0.52]
    over_plain = plain[SHOWN] - rows.loc[plain['plain'], SHOWN].to_numpy()
    losses = over_plain[plain['idea'] == 'loss']
    assert losses[['AP', 'APr', 'fixed_AP', 'exhaustive_AP']].median().round(1).to_list() == [
        0.8, 3.7, 0.5, 0.3]
    kinds = ['AP', 'APr', 'fixed_AP', 'exhaustive_AP']
    loss_rows = calibrated[calibrated['idea'] == 'loss']
    plain_rows = (loss_rows['plain'] + ' + ').add(loss_rows['calibrator'])
    both = loss_rows[kinds] - rows.loc[plain_rows, kinds].to_numpy()
    assert both.median().round(1).to_list() == [-1.0, 1.4, 0.6, -0.6]
    assert losses.loc['Seesaw', kinds].min() > 3 and both.loc['Seesaw + LogitAdjustment'].min() > 3
    below = (over_plain[['AP', 'fixed_AP']] < -1).all(axis=1)
    assert set(below[below].index) == {'Forest R-CNN', 'LWS'}
    assert (over_plain.loc[['De-confound-TDE', 'GOL'], 'AP'] < -2).all()
    assert (over_plain.loc[['De-confound-TDE', 'GOL'], 'fixed_AP'] > 0).all()
    level = ['BAGS', 'EQL v2']
    assert (over_plain.loc[level, 'AP'].abs() < 0.5).all()
    assert set(over_plain['fixed_AP'].drop(below[below].index).nsmallest(2).index) == set(level)
    assert set(over_plain['exhaustive_AP'].nsmallest(2).index) == {'GOL', 'federated loss'}
    names = ['LOCE + NorCal', 'BACL with RFS + LogitAdjustment', 'Seesaw']
    behind = rows.loc['cRT + NorCal', ['AP', 'fixed_AP']] - rows.loc[names, ['AP', 'fixed_AP']]
    assert abs(behind.loc[names[:2], 'fixed_AP']).max() < 0.5
    assert list(behind['AP'].astype(float).round(1)) == [0.1, 0.8, 1.0]


def test_the_page_says_what_rates_are_worth():
    trials = pd.read_csv(FOLDER / 'trials.csv')
    tried = trials[trials['settings'].str.fullmatch(rf'{RATE}=\S+')].groupby('method')[
        'held-out AP']
    gains = tried.max() - tried.first()  # the first is the config's own
    assert gains.median().round(1) == 0.6 and gains['SCE'].round(1) == 2.7
    assert set(gains[gains > 13.9].index) == {'De-confound-TDE', 'GOL'}
    assert 0.3 < (gains == 0).mean() < 0.4
    assert list(tried.first().nlargest(3).index) == list(tried.max().nlargest(3).index)


def test_the_page_says_what_strengths_are_worth():
    trials = pd.read_csv(FOLDER / 'trials.csv')
    settings = trials['settings']  # of rates alone without a space
    trials = trials[settings.str.contains(' ') & ~settings.str.contains('calibrator')]
    tried = trials.groupby('method', sort=False)['held-out AP']
    gains = tried.max() - tried.first()  # the first is the config's own
    assert len(gains) == 23 and (gains == 0).sum() == 8 and gains.median().round(1) == 0.5
    assert gains.round(1)[['GOL', 'FASA', 'Seesaw']].to_list() == [5.0, 2.8, 1.2]
    assert set(gains[gains.between(0.65, 0.95)].index) == {
        'BAGS', 'PCB', 'EQL', 'RIO', 'ROG', 'DropLoss', 'LOCE'}
    assert not gains[['BACL', 'BACL, FCBL alone', 'BACL, FHM alone']].any()
    assert 4 < (tried.first() - tried.min()).max() < 4.2
    assert (tried.first()['BACL'] - tried.first()['Seesaw']).round(1) == 1.0
    is_last = (gains > 0) & (tried.last() == tried.max())
    assert is_last.sum() == 11 and is_last[['GOL', 'FASA', 'Seesaw']].all()


def test_the_page_says_how_much_a_setting_differs_between_sessions():
    trials = pd.read_csv(FOLDER / 'trials.csv').set_index(['method', 'settings'])['held-out AP']
    differences = []
    for _, tried in trials.groupby('method', sort=False):
        tried = tried.droplevel('method')
        plain = tried[~tried.index.str.contains('calibrator')]
        strengths = plain[plain.index.str.contains(' ')]
        if len(strengths):  # the first has the value of the config, as the rates had
            differences.append(strengths.iloc[0] - plain[strengths.index[0].split(' ')[0]])
        best = (strengths if len(strengths) else plain).max()
        without = tried[tried.index.str.contains(r'(?:gamma|tau)=0\.0')]  # the calibrator is off
        differences += list(without - best)
    assert len(differences) > 50 and np.abs(differences).max().round(1) == 1.4


def test_the_page_says_what_whole_detectors_do():
    rows = read_rows(FOLDER.parent / 'end-to-end')
    loss = rows.loc['BCE*', 'AP'] - rows.loc['BACL, end to end', 'AP']
    assert loss.round(1) == 5.5
    plain = rows.loc[['SCE', 'BCE', 'BCE*']]
    assert (abs(plain['AP'] - 32.6) < 0.6).all() and (plain['APr'] + 3.5 < 20.3).all()
    assert list(rows.index[:2]) == ['RFS', 'IRFS'] and rows['AP'].nlargest(2).min() > 32.6
    assert sum(rows['seeds'] == 0) == 5


def test_the_page_says_what_image_level_data_do():
    rows = read_rows(FOLDER.parent / 'image-level')
    runs = pd.read_csv(FOLDER.parent / 'image-level/runs.csv').set_index(['row', 'seed'])
    assert set(rows['seeds']) == {3}
    gains = rows[['AP_over_baseline', 'APr_over_baseline']].round(1)
    for row, gain in {'classes drawn evenly': [3.0, 8.3], 'image labels': [3.5, 9.1],
                      'RichSem': [3.9, 9.5], 'CLIS': [3.4, 8.5]}.items():
        assert list(gains.loc[row]) == pytest.approx(gain)
        if row != 'classes drawn evenly':
            for metric in ('AP', 'APr'):
                assert rows.loc[row, f'{metric}_over_reference_low'] < 0.1
    twice, both = 'classes drawn evenly, twice the steps', 'image labels, classes drawn evenly'
    assert 0 < rows.loc[twice, 'AP'] - rows.loc['RichSem', 'AP'] < 0.4
    assert rows.loc[twice, 'AP'] - rows.loc[['image labels', 'CLIS'], 'AP'].max() > 0.5
    assert list(rows['AP'].nlargest(2).index) == [both, twice]
    for metric in ('APr', 'fixed_APr', 'exhaustive_APr'):
        assert rows[metric].idxmax() == both
    above = (runs.loc[both] - runs.loc[twice])[['AP', 'APr']]
    assert list(above.mean().round(1)) == pytest.approx([1.1, 3.2]) and (above.min() > 0).all()
    fixed = (runs.loc[both] - runs.loc[twice])[['fixed_AP', 'fixed_APr']]
    assert list(fixed.mean().round(1)) == pytest.approx([0.2, 1.3])
    assert (fixed['fixed_AP'] < 0).sum() == 1
    for row, plain in {'CLIS A2, own stack': 'CLIS A1, no images',
                       'CLIS A3, no paste': 'CLIS A1, no images',
                       'CLIS A6, one stack': 'CLIS A0, baseline'}.items():
        assert -0.8 < rows.loc[row, 'AP'] - rows.loc[plain, 'AP'] < 0
        assert abs(rows.loc[row, 'APr'] - rows.loc[plain, 'APr']) < 0.5
    assert rows.loc['CLIS A4, no contrast', 'AP'] > rows.loc['CLIS A1, no images', 'AP'] + 2.5
    contrast = (runs.loc['CLIS'] - runs.loc['CLIS A4, no contrast'])['AP']
    assert abs(contrast.mean()) < contrast.std()
    for row in ('soft labels', 'RichSem, classes unknown'):
        assert rows.loc[row, 'AP_over_baseline_low'] < 0 < rows.loc[row, 'AP_over_baseline_high']
    beside = (runs.loc['RichSem'] - runs.loc['image labels'])['AP']
    assert beside.mean() < beside.std()
    assert 0 > (rows['APf'] - rows.loc['fine-tuning', 'APf'])[
        ['classes drawn evenly', 'image labels', 'CLIS', both]].max()
    assert (rows['APf'] - rows.loc['fine-tuning', 'APf'])[
        ['classes drawn evenly', 'image labels', 'RichSem', 'CLIS', both, twice]].min() > -1.2


def test_the_page_says_what_they_do_with_1203_classes():
    rows = read_rows(FOLDER.parent / 'image-level-lvis-like')
    even, labels = 'classes drawn evenly', 'image labels'
    both, twice = f'{labels}, {even}', f'{even}, twice the steps'
    assert set(rows['seeds']) == {1}
    for row, other, expected in ((labels, 'baseline', [1.6, 3.5]), (even, 'baseline', [3.4, 7.1]),
                                 (both, 'reference', [1.5, 4.1]), (twice, 'reference', [1.7, 3.7])):
        gain = rows.loc[row, [f'AP_over_{other}', f'APr_over_{other}']].astype(float)
        assert list(gain.round(1)) == pytest.approx(expected)
    shown = ['AP', 'fixed_AP', 'exhaustive_AP', 'APr', 'fixed_APr']
    ahead = (rows.loc[twice, shown] - rows.loc[both, shown]).astype(float)
    assert list(ahead.round(1)) == pytest.approx([0.2, 0.5, 0.7, -0.4, 0.7])
    lost = (rows.loc['fine-tuning', 'APf'] - rows['APf']).drop('fine-tuning').round(1)
    assert lost[twice] == 0.2 and [lost.drop(twice).min(), lost.drop(twice).max()] == [0.7, 1.4]
    assert (rows['cpu_seconds'] / 60).round().to_dict() == {
        'fine-tuning': 13, even: 13, labels: 19, both: 19, twice: 22}


def test_the_page_says_what_they_do_with_half_of_the_boxes():
    half = read_rows(FOLDER.parent / 'dropped-annotations')
    whole = read_rows(FOLDER.parent / 'image-level')
    half_runs = pd.read_csv(FOLDER.parent / 'dropped-annotations/runs.csv').set_index(
        ['row', 'seed'])
    even, labels = 'classes drawn evenly', 'image labels'
    both, soft = f'{labels}, {even}', ['soft labels', 'RichSem']
    assert set(half['seeds'].drop(soft)) == {2} and set(half['seeds'][soft]) == {1}
    for rows, expected in (
            (half, [('fine-tuning', 23.3, 4.4), (labels, 3.4, 8.9), (even, 3.5, 10.0),
                    (both, 4.9, 14.3)]),
            (whole, [('fine-tuning', 29.0, 11.3), (labels, 3.5, 9.1), (even, 3.0, 8.3),
                     (both, 5.2, 12.8)])):
        for row, ap, apr in expected:
            suffix = '' if row == 'fine-tuning' else '_over_baseline'
            assert rows.loc[row, f'AP{suffix}'].round(1) == ap
            assert rows.loc[row, f'APr{suffix}'].round(1) == apr
    for rows, expected in ((half, [1.3, 4.3]), (whole, [2.2, 4.5])):
        above = rows.loc[both, ['AP_over_reference', 'APr_over_reference']].astype(float)
        assert list(above.round(1)) == pytest.approx(expected)
    shown = ['AP', 'APr', 'APf', 'fixed_AP', 'fixed_APr']
    lacking = (half.loc[both, shown] - whole.loc['fine-tuning', shown]).astype(float)
    assert list(lacking.round(1)) == pytest.approx([-0.9, 7.4, -7.1, -4.1, -0.5])
    gain = half.loc['soft labels', ['AP_over_baseline', 'AP_over_baseline_low',
                                    'AP_over_baseline_high']].astype(float)
    assert list(gain.round(1)) == pytest.approx([0.3, -0.3, 0.9])
    same_seed = half_runs.loc['soft labels', 0] - half_runs.loc['fine-tuning', 0]
    assert abs(same_seed['fixed_AP']) < 0.05
    assert abs(whole.loc['soft labels', 'AP_over_baseline']) < 0.05
    for rows, expected in ((half, 0.1), (whole, 0.3)):
        assert (rows.loc['RichSem', 'AP'] - rows.loc[labels, 'AP']).round(1) == expected
