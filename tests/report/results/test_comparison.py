from dataclasses import replace

import bacl  # noqa: F401
import numpy as np
import pytest
from bacl.evaluation import evaluate_detections
from bacl.report.results.comparison import class_gains, comparison_table
from bacl.report.results.matches import match_lvis


@pytest.fixture
def data(draw_data):
    annotations, detections = draw_data(5)
    return annotations, {'few': detections[np.arange(len(detections)) % 3 > 0],
                         'all': detections}


def test_table_has_the_metrics_and_their_differences(data):
    annotations, runs = data
    results = {name: evaluate_detections(annotations, dets, num_workers=0)
               for name, dets in runs.items()}
    table = comparison_table(results).set_index('run')
    for metric, value in results['all'].summary().items():
        base = results['few'].summary()[metric]
        assert table.loc['all', metric] == pytest.approx(value, nan_ok=True)
        assert table.loc['all', f'{metric}_difference'] == pytest.approx(value - base, nan_ok=True)
        assert np.isnan(table.loc['few', f'{metric}_difference'])


def test_results_of_other_classes_are_refused(data):
    annotations, runs = data
    one = evaluate_detections(annotations, runs['all'], num_workers=0)
    other = evaluate_detections(annotations, runs['all'], num_workers=0)
    other.categories[0] = {**other.categories[0], 'id': 99}
    with pytest.raises(ValueError, match="'a' and 'b' cannot be compared: their categories"):
        comparison_table({'a': one, 'b': other})
    other = evaluate_detections(annotations, runs['all'], num_workers=0)
    other.groups[0] = 'x'
    with pytest.raises(ValueError, match='their groups of classes differ'):
        comparison_table({'a': one, 'b': other})


def test_gains_of_classes(data):
    annotations, runs = data
    matches = {name: match_lvis(annotations, dets) for name, dets in runs.items()}
    frame = class_gains({**matches, 'again': matches['few']})
    assert frame['run'].unique().tolist() == ['all', 'again'] and set(frame['first']) == {'few'}
    few, every = (evaluate_detections(annotations, dets, num_workers=0) for dets in runs.values())
    part = frame[frame['run'] == 'all']
    np.testing.assert_allclose(part['gain'], every.class_ap() - few.class_ap(), atol=1e-9)
    np.testing.assert_allclose(part['ap50'], every.class_ap(iou=0.5), atol=1e-9)
    assert (frame.loc[frame['run'] == 'again', 'gain'].dropna() == 0).all()
    assert class_gains({'few': matches['few']}).empty
    with pytest.raises(ValueError, match='cannot be compared'):
        class_gains({'a': matches['few'], 'b': replace(matches['few'], max_dets=3)})
