import bacl  # noqa: F401
import numpy as np
import pandas as pd
import pytest
from bacl.report.results import bootstrap
from bacl.report.results.average_precision import average_precision, group_averages
from bacl.report.results.bootstrap import paired_bootstrap
from bacl.report.results.matches import match_lvis


@pytest.fixture
def runs(draw_data):
    annotations, detections = draw_data(5, num_images=12)
    fewer = detections[np.arange(len(detections)) % 3 > 0]
    return {'few': match_lvis(annotations, fewer), 'all': match_lvis(annotations, detections)}


def test_is_the_loop_over_draws(runs):
    frame = paired_bootstrap(runs, num_draws=40, seed=3, level=0.8).set_index(['run', 'group'])
    rng = np.random.default_rng(3)
    draws = {name: {group: [] for group in 'all r c f'.split()} for name in runs}
    for _ in range(40):
        images = rng.integers(0, 12, 12)
        weights = np.array([(images == i).sum() for i in range(12)])
        for name, run in runs.items():
            ap = average_precision(run, image_weights=weights).mean(axis=0)
            for group, value in group_averages(ap, run).items():
                draws[name][group].append(float(value))
    for group in 'all r c f'.split():
        few, both = (np.array(draws[name][group]) for name in ('few', 'all'))
        known = ~np.isnan(few)
        row = frame.loc[('all', group)]
        assert row['num_draws'] == known.sum()
        difference = (both - few)[known]
        np.testing.assert_allclose([row['low'], row['high']],
                                   np.quantile(difference, [0.1, 0.9]), atol=1e-12)
        np.testing.assert_allclose([row['ap_low'], row['ap_high']],
                                   np.quantile(both[known], [0.1, 0.9]), atol=1e-12)
        assert row['share_not_better'] == (difference <= 0).mean()
        measured = [group_averages(average_precision(run).mean(axis=0), run)[group]
                    for run in (runs['few'], runs['all'])]
        assert row['difference'] == pytest.approx(measured[1] - measured[0])
        assert row['ap'] == pytest.approx(measured[1])


def test_equal_runs_never_differ_and_the_first_has_no_difference(runs):
    frame = paired_bootstrap({'a': runs['all'], 'b': runs['all']}, num_draws=10)
    second = frame[frame['run'] == 'b']
    assert (second[['difference', 'low', 'high']] == 0).all(axis=None)
    assert (second['share_not_better'] == 1).all()
    assert frame.loc[frame['run'] == 'a', ['difference', 'low', 'high']].isna().all(axis=None)


def test_draws_depend_on_the_seed_alone(runs, monkeypatch):
    expected = paired_bootstrap(runs, num_draws=7)
    monkeypatch.setattr(bootstrap, '_WEIGHTS_AT_ONCE', 1)
    pd.testing.assert_frame_equal(paired_bootstrap(runs, num_draws=7), expected)
    assert not paired_bootstrap(runs, num_draws=7, seed=1).equals(expected)


def test_group_without_objects_is_nan(runs):
    run = runs['all']
    run.objects.is_ignored[run.groups[run.objects.label] == 'r'] = True
    frame = paired_bootstrap({'a': run, 'b': run}, num_draws=5).set_index(['run', 'group'])
    row = frame.loc[('b', 'r')]
    assert row['num_draws'] == 0 and row.drop('num_draws').isna().all()


def test_bad_arguments_are_refused(runs, draw_data):
    with pytest.raises(ValueError, match='num_draws=.* got 0'):
        paired_bootstrap(runs, num_draws=0)
    with pytest.raises(ValueError, match='level=.* got 95'):
        paired_bootstrap(runs, level=95)
    with pytest.raises(ValueError, match='cannot be compared'):
        paired_bootstrap({**runs, 'other': match_lvis(*draw_data(1))})
