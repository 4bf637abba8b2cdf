from dataclasses import replace

import bacl  # noqa: F401
import numpy as np
import pytest
from bacl.engine.probing.training_record import TrainingRecord
from bacl.report.figures.training import (
    class_positives_figure,
    gradient_share_figure,
    hallucination_figure,
    iou_figure,
    loss_share_figure,
    regression_share_figure,
    roi_level_figure,
    sample_share_figure,
    training_figures,
)


@pytest.fixture
def classes(lvis_classes):
    return lvis_classes('rcf', ['ant', 'bee', 'cat'])


@pytest.fixture
def record():
    """Two periods of one stage; three classes, one of which was never seen."""
    return TrainingRecord(
        class_names=np.array(['ant', 'bee', 'cat']), instance_count=np.array([1, 10, 89]),
        stages=np.array(['']),
        level_strides=np.array([4, 8]), iou_edges=np.linspace(0, 1, 5),
        gradient_of=np.array('parameters'), first_iteration=np.array([1, 11]),
        last_iteration=np.array([10, 20]), num_batches=np.array([10, 10]),
        num_images=np.array([40, 40]), positives=np.array([[[0, 10, 40]], [[0, 20, 30]]]),
        negatives=np.array([[150], [150]]), hallucinated=np.array([[[50, 0, 0]], [[50, 0, 0]]]),
        batches_with_class=np.array([[[0, 5, 9]], [[0, 5, 9]]]),
        level_positives=np.array([[[40, 10]], [[40, 10]]]),
        level_negatives=np.array([[[150, 0]], [[0, 150]]]),
        iou_count=np.array([[[0, 0, 30, 10]], [[0, 0, 10, 30]]]),
        added_count=np.array([[10], [10]]),
        regression_loss=np.array([[[0, 0, 6., 1]], [[0, 0, 2., 0]]]),
        added_regression_loss=np.array([[1.], [0.]]), iteration=np.array([10, 20]),
        positives_per_image=np.array([[1.], [1.]]), negatives_per_image=np.array([[4.], [4.]]),
        classes_per_batch=np.array([[2.], [np.nan]]), terms=np.array(['loss_cls', 'loss_bbox']),
        loss=np.array([[3., 1], [1, 1]]), gradient_norm=np.array([[1., 4], [np.nan, 1]]))


def test_samples_by_group_with_and_without_hallucination(record, classes):
    figure = sample_share_figure(record, classes)
    shares = figure.frame.pivot(index='kind', columns='group', values='share_percent')
    assert shares.loc['annotated objects'].to_dict() == pytest.approx(dict(r=1, c=10, f=89))
    assert shares.loc['positive RoIs'].to_dict() == pytest.approx(dict(r=0, c=30, f=70))
    assert shares.loc['positive RoIs and hallucinated samples'].to_dict() == pytest.approx(
        dict(r=50, c=15, f=35))
    assert '3.0 background RoIs per positive' in figure.caption
    assert 'batch of 4 images had positives of 2.0 of 3 classes' in figure.caption


def test_positives_of_classes(record, classes):
    figure = class_positives_figure(record, classes)
    assert figure.frame['positive_rois'].tolist() == [0, 30, 70]
    assert figure.frame['other_rois'].tolist() == [400, 370, 330]
    assert '1 of 3 classes had no positive RoI' in figure.caption
    assert [(trace.name, trace.x, trace.y) for trace in figure.chart.data] == [
        ('common', (10, ), (30, )), ('frequent', (89, ), (70, ))]


def test_hallucinated_samples_of_classes_by_period(record, classes):
    drawn = replace(record, hallucinated=np.array([[[50, 0, 0]], [[30, 10, 0]]]))
    figure = hallucination_figure(drawn, classes)
    assert figure.frame['hallucinated_samples'].tolist() == [50, 0, 0, 30, 10, 0]
    assert figure.frame['share_percent'].tolist() == [100, 0, 0, 75, 25, 0]
    assert figure.frame['period'].unique().tolist() == ['iterations 1 to 10', 'iterations 11 to 20']
    assert '90 samples' in figure.caption and '1 of 3 classes had none' in figure.caption
    last = {trace.name: (trace.x, trace.y) for trace in figure.chart.data[3:]}
    assert last == {'rare, iterations 11 to 20': ((1, ), (75, )),
                    'common, iterations 11 to 20': ((10, ), (25, )),
                    'frequent, iterations 11 to 20': ((89, ), (0, ))}
    alone = hallucination_figure(drawn.up_to(10), classes).chart.data
    assert [trace.name for trace in alone] == ['rare', 'common', 'frequent']


def test_ious_of_the_first_and_the_last_period(record):
    figure = iou_figure(record)
    shares = figure.frame.groupby('period')['share_percent'].apply(list).to_dict()
    assert shares == {'iterations 1 to 10': [0, 0, 75, 25], 'iterations 11 to 20': [0, 0, 25, 75]}
    assert '20.0% of the positives' in figure.caption
    assert figure.chart.layout.xaxis.range == (0.5, 1)
    assert all(len(trace.x) == len(trace.y) == 2 for trace in figure.chart.data)


def test_regression_loss_by_iou(record):
    figure = regression_share_figure(record)
    assert figure.frame['loss_percent'].tolist() == pytest.approx([0, 0, 80, 10])
    assert figure.frame['positives_percent'].tolist() == pytest.approx([0, 0, 40, 40])
    assert '20.0% of the positives and have 10.0% of the loss' in figure.caption


def test_levels(record):
    frame = roi_level_figure(record).frame.set_index(['kind', 'level'])['share_percent']
    assert frame['positives'].tolist() == [80, 20] and frame['negatives'].tolist() == [50, 50]


def test_shares_of_terms_over_time(record):
    frame = loss_share_figure(record).frame
    assert frame['iteration'].tolist() == [10, 10, 20, 20]
    assert frame['share_percent'].tolist() == [75, 25, 50, 50]
    figure = gradient_share_figure(record)
    assert figure.frame['share_percent'].tolist() == pytest.approx([20, 80, 0, 100])
    assert 'parameters that learn' in figure.caption


def test_long_trainings_are_drawn_by_means_and_unseen_points_left_out(record):
    num = 1001
    long = replace(record, iteration=np.arange(num), loss=np.ones((num, 2)))
    long.loss[7] = np.nan  # left out
    figure = loss_share_figure(long)
    assert len(figure.frame) <= 2 * 200 and 'means of 5 points' in figure.caption
    assert (figure.frame['share_percent'] == 50).all()


def test_all_charts_of_a_cascade(record, classes):
    wide = {name: np.repeat(getattr(record, name), 3, 1) for name in (
        'positives', 'negatives', 'hallucinated', 'batches_with_class', 'level_positives',
        'level_negatives', 'iou_count', 'added_count', 'regression_loss', 'added_regression_loss',
        'positives_per_image', 'negatives_per_image', 'classes_per_batch')}
    figures = training_figures(replace(record, stages=np.array(['s0', 's1', 's2']), **wide),
                               classes)
    names = [figure.name for figure in figures]
    assert len(set(names)) == len(names) == 12
    for figure in figures:
        layout = figure.chart.layout
        assert layout.xaxis.title.text and layout.yaxis.title.text and figure.caption
        assert layout.width is None and layout.font.color is None


@pytest.mark.filterwarnings('error')
def test_what_was_not_recorded_is_not_drawn(record, classes):
    little = replace(record.up_to(10), level_strides=record.level_strides[:0],
                     regression_loss=np.zeros((1, 1, 4)), iou_count=np.zeros((1, 1, 4), dtype=int),
                     added_count=np.zeros((1, 1), dtype=int),
                     positives=np.zeros((1, 1, 3), dtype=int), hallucinated=np.zeros((1, 1, 3)),
                     loss=np.full((1, 2), np.nan), gradient_norm=np.full((1, 2), np.nan))
    names = [figure.name for figure in training_figures(little, classes)]
    assert names == ['sample_shares', 'class_positives', 'positive_iou', 'loss_share']
    with pytest.raises(ValueError, match='at least one period'):
        training_figures(record.up_to(0), classes)


def test_a_record_of_other_classes_is_refused(record, lvis_classes):
    with pytest.raises(ValueError, match='3 classes of the data.*imbalance.npz'):
        training_figures(record, lvis_classes('rcf', ['ant', 'bee', 'cow']))


def test_groups_are_those_of_the_table(record, classes):
    figure = sample_share_figure(record, classes.grouped_by_instances((3, 5)))
    assert set(figure.chart.data[0].x) == {'below 3', '3 to 4', '5 or more'}
