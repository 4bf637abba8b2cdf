import time

import bacl  # noqa: F401
import numpy as np
import pytest
from bacl.report.figures.dataset import (
    aspect_ratio_figure,
    box_size_figure,
    centre_figure,
    class_frequency_figure,
    coverage_figure,
    cumulative_share_figure,
    dataset_figures,
    image_content_figure,
    level_share_figure,
)
from bacl.report.measures.box_geometry import Pyramid
from bacl.report.measures.summary import imbalance_summary
from bacl.report.objects import ObjectTable


@pytest.fixture
def table(lvis_classes):
    """A function that makes a table of objects."""

    def make(label, image, box, groups='rcfr'):
        return ObjectTable(
            classes=lvis_classes(groups), image_ids=np.arange(4),
            image_sizes=np.full((4, 2), 100), image=np.array(image, dtype=np.int64),
            label=np.array(label, dtype=np.int64), box=np.array(box, dtype=float))

    return make


@pytest.fixture
def small(table):
    return table([0, 1, 1, 2, 2, 2], [0, 0, 1, 1, 1, 3],
                 [[0, 0, 10, 10], [0, 0, 20, 10], [0, 0, 40, 40], [50, 50, 50, 50],
                  [0, 0, 30, 0], [20, 20, 60, 60]])


def test_class_frequency_ranks_classes_and_counts_empty_ones(small):
    figure = class_frequency_figure(small, small)
    assert figure.frame['class_name'].tolist() == ['class 2', 'class 1', 'class 0', 'class 3']
    assert figure.frame['train_instances'].tolist() == [3, 2, 1, 0]
    assert figure.frame['train_images'].tolist() == [2, 2, 1, 0]
    assert figure.frame['val_instances'].tolist() == [3, 2, 1, 0]
    assert '1 of 4 classes have no training instance' in figure.caption
    assert all(min(trace.y) > 0 for trace in figure.chart.data if len(trace.y))


def test_lorenz_curve(small):
    figure = cumulative_share_figure(small)
    assert figure.frame['train_instances_percent'].tolist() == pytest.approx(
        [0, 0, 100 / 6, 50, 100])
    assert 'most frequent 1 of 4 classes' in figure.caption


def test_sizes_are_counted_per_group_and_level(small):
    frame = box_size_figure(small, Pyramid((200, 200), (4, 8), 28)).frame
    by_level = frame.groupby(['level', 'group'])['objects'].sum()
    # Sides 20, 28, 80, 100, 0, 120: the level border is 56; a box without area is left out.
    assert by_level['P2 (stride 4)'].to_dict() == {'r': 1, 'c': 1, 'f': 0}
    assert by_level['P3 (stride 8)'].to_dict() == {'r': 0, 'c': 1, 'f': 2}
    assert (frame['side_from_px'] < frame['side_to_px']).all()
    levels = level_share_figure(small, Pyramid((200, 200), (4, 8), 28)).frame
    assert levels['objects'].tolist() == [1, 0, 1, 1, 1, 2]


def test_shapes(small):
    frame = aspect_ratio_figure(small).frame
    square = frame[(frame['ratio_from'] < 1) & (frame['ratio_to'] > 1)]
    assert square.set_index('group')['objects'].to_dict() == {'r': 1, 'c': 1, 'f': 2}
    wide = frame[(frame['ratio_from'] < 2) & (frame['ratio_to'] > 2)]
    assert wide['objects'].sum() == 1 and frame['objects'].sum() == 5


def test_places(small):
    frame = centre_figure(small).frame
    assert frame['objects'].sum() == 6 and frame['times_even_density'].mean() == pytest.approx(1)
    best = frame.loc[frame['objects'].idxmax()]
    assert best['objects'] == 1 and 0 <= best['from_left_percent'] < 100
    covered = coverage_figure(small).frame
    assert covered['covering_objects_percent'].iloc[0] == 50  # three of six, one without area


def test_content_of_images(small):
    frame = image_content_figure(small).frame
    assert frame['number_per_image'].tolist() == ['0', '1', '2', '3']
    assert frame['images_by_objects'].tolist() == [1, 1, 1, 1]
    assert frame['images_by_classes'].tolist() == [1, 1, 2, 0]


def test_every_chart_has_titles_and_is_left_to_the_page(small):
    figures = dataset_figures(small, small)
    assert len({figure.name for figure in figures}) == len(figures) == 8
    for figure in figures:
        layout = figure.chart.layout
        assert layout.xaxis.title.text and layout.yaxis.title.text and figure.caption
        assert layout.width is None and layout.font.color is None
        assert layout.paper_bgcolor == layout.plot_bgcolor == 'rgba(0, 0, 0, 0)'


def test_no_objects_and_other_classes_are_refused(small, table):
    empty = table([], [], np.zeros((0, 4)))
    with pytest.raises(ValueError, match='train=.* none in 4 images'):
        dataset_figures(empty)
    assert dataset_figures(small, empty)
    with pytest.raises(ValueError, match='val=.* 4 classes of train, got 3 others'):
        dataset_figures(small, table([0], [0], [[0, 0, 1, 1]], 'rcf'))


@pytest.mark.filterwarnings('error')
@pytest.mark.parametrize('box', [[0, 0, 0, 0], [5, 5, 1e-3, 1e-3], [-9, -9, 500, 500]])
def test_degenerate_boxes_make_charts(table, box):
    assert dataset_figures(table([1], [0], [box]))


def test_charts_of_lvis_size_are_fast_and_small(lvis_classes):
    rng = np.random.default_rng(0)
    num_classes, num_images, num_objects = 1203, 100_000, 1_270_000
    share = 1 / np.arange(1, num_classes + 1)**1.5
    data = ObjectTable(
        classes=lvis_classes(''.join(np.repeat(['f', 'c', 'r'], num_classes // 3))),
        image_ids=np.arange(num_images),
        image_sizes=np.full((num_images, 2), (640, 480)),
        image=rng.integers(num_images, size=num_objects),
        label=np.searchsorted(np.cumsum(share / share.sum()), rng.random(num_objects)).clip(
            0, num_classes - 1),
        box=rng.random((num_objects, 4)) * 200)
    start = time.perf_counter()
    imbalance_summary(data)
    figures = dataset_figures(data, data)
    seconds = time.perf_counter() - start
    assert seconds < 10  # about one on a free core: a guard against loops over objects
    assert all(len(figure.frame) <= num_classes + 1 for figure in figures)
    assert sum(len(figure.chart.to_json()) for figure in figures) < 500_000
