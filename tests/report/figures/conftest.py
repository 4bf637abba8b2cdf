"""Checks that every chart has to pass, and runs to draw."""
import numpy as np
import pytest
from bacl.evaluation import Detections
from bacl.report.results import match_lvis


@pytest.fixture(scope='session')
def check_figures():
    """A function that checks figures: names, axis titles, no look of their own."""

    def check(figures):
        assert len({figure.name for figure in figures}) == len(figures)
        for figure in figures:
            assert figure.name.isidentifier() and figure.title and figure.caption.endswith('.')
            layout = figure.chart.layout
            assert layout.width is None and layout.font.color is None
            assert layout.paper_bgcolor == 'rgba(0, 0, 0, 0)'
            axes = [*figure.chart.select_xaxes(), *figure.chart.select_yaxes()]
            assert any(axis.title.text for axis in figure.chart.select_yaxes())
            assert all(axis.title.text for axis in figure.chart.select_xaxes())
            shown = sum(trace.showlegend is not False for trace in figure.chart.data)
            assert shown > 1 or not layout.showlegend or figure.name == 'ap_difference'
            for axis in axes:
                if axis.type == 'log':
                    values = [v for trace in figure.chart.data for v in trace.x]
                    assert min(values, default=1) > 0
            figure.chart.to_json()
            figure.frame.to_csv()

    return check


@pytest.fixture(scope='session')
def runs():
    """Two runs with two rare, two frequent classes and a common one without objects."""
    rng = np.random.default_rng(0)
    categories = [{'id': i + 1, 'name': f'thing_{i}', 'frequency': f}
                  for i, f in enumerate('rrcff')]
    images = [{'id': i, 'neg_category_ids': [1, 2, 3, 4, 5], 'not_exhaustive_category_ids': []}
              for i in range(20)]
    annotations = [{'image_id': i % 20, 'category_id': [1, 2, 4, 5][i % 4],
                    'bbox': [20 * (i // 20), 0, 10, 10], 'area': 100} for i in range(60)]

    def detect(share):
        wrong = rng.random(60) > share
        boxes = np.array([a['bbox'] for a in annotations], dtype=float)
        boxes[rng.random(60) < 0.2, 2] = 3
        labels = [1 + (a['category_id'] % 5 if w else a['category_id'] - 1)
                  for a, w in zip(annotations, wrong, strict=True)]
        image_id = np.array([a['image_id'] for a in annotations])
        return Detections(np.tile(image_id, 2),
                          np.concatenate([labels, rng.integers(1, 6, 60)]),
                          np.concatenate([rng.random(60), rng.random(60) / 2]),
                          np.full(120, 100.), np.tile(boxes, (2, 1)))

    data = {'images': images, 'annotations': annotations, 'categories': categories}
    return {name: match_lvis(data, detect(share), 5)
            for name, share in (('base', 0.5), ('better', 0.9))}
