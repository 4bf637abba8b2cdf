from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from bacl.annotations import ClassTable
from bacl.evaluation import Detections
from bacl.evaluation.functional import evaluate_coco_lt_detections, evaluate_coco_lt_fixed
from bacl.report.classifier import ClassifierState, IndicatorState
from bacl.report.page import Images, Run, Validation, write_dataset_report, write_run_report
from bacl.report.page.sections import gallery_section, summary_section, training_section
from bacl.report.results import match_coco_lt

SECTIONS = ['meaning', 'summary', 'data', 'training', 'results', 'comparison', 'gallery', 'classes']


def state_of(*confusions):
    """What a checkpoint tells that has a classifier and these confusion matrices."""
    return ClassifierState(
        [np.ones(3)] * max(1, len(confusions)),
        [IndicatorState('confusion matrix', matrix.diagonal().copy(), np.full(3, 10.), matrix)
         for matrix in confusions], [])


@pytest.fixture(scope='module')
def page(tmp_path_factory, validation, runs):
    training = Images(validation.annotations, 'train.json', validation.class_table,
                      validation.image_path)
    states = {1: state_of()}
    shown = [replace(run, checkpoints=states) for run in runs]
    return write_run_report(tmp_path_factory.mktemp('report'), validation, shown, training,
                            num_draws=5)


@pytest.mark.parametrize('width', [1280, 390])
@pytest.mark.parametrize('scheme', ['light', 'dark'])
def test_report_opens_from_the_disk_without_errors_or_network(page, browser, width, scheme):
    browser.open(page, width=width, scheme=scheme)
    browser.draw_all_charts()
    assert browser.run('return [...document.querySelectorAll("section")].map(s => s.id)') == \
        SECTIONS
    assert browser.run('return charts.length') > 15
    assert browser.errors() == []
    assert browser.requested() == []
    assert browser.run('return document.documentElement.scrollWidth') <= width
    dark = browser.run('return getComputedStyle(document.body).backgroundColor') != \
        'rgb(255, 255, 255)'
    assert dark == (scheme == 'dark')
    # plotly's own colour of texts would not be seen on black.
    assert browser.run('return getComputedStyle(document.querySelector(".xtitle")).fill === '
                       'getComputedStyle(document.body).color')


def test_a_class_is_opened_by_its_address(page, browser):
    browser.open(page, '#class-22')
    panel = browser.driver.find_element('id', 'class-22')
    assert panel.is_displayed()
    assert panel.text.startswith('<script>alert(1)</script>'), 'a name is text, not code'
    assert 'first: many 0.60' in panel.text
    assert not browser.driver.find_element('id', 'class-11').is_displayed()


def test_groups_without_objects_are_not_known(validation, runs):
    ap, differences = summary_section(validation, runs).blocks
    row = dict(zip(ap.frame, ap.cells()[1], strict=True))
    assert (row['run'].text, row['APr'].text, row['APc'].text) == ('last', '100.0', 'n/a')
    row = dict(zip(differences.frame, differences.cells()[0], strict=True))
    assert (row['run'].text, row['APr'].text, row['APc'].text) == ('last', '+100.0', 'n/a')
    assert len(differences.cells()) == 1, 'the first run is what others are compared with'


@pytest.mark.parametrize('num_stages', [1, 2])
def test_confusions_of_an_indicator_are_shown_by_names_of_the_file(validation, runs, num_stages):
    matrices = np.zeros((num_stages, 3, 3))
    for stage, matrix in enumerate(matrices):
        matrix[stage, 2] = 0.5  # rows are in the order of the file, not of the ids
    shown = [replace(runs[0], checkpoints={1: state_of()}),
             replace(runs[1], checkpoints={1: state_of(), 2: state_of(*matrices)})]
    figures = [figure for figure in training_section(validation, shown).blocks
               if figure.name.startswith('indicator_confusions')]
    assert [figure.title.partition(': ')[2] for figure in figures] == (
        ['last'] if num_stages == 1 else ['last, stage 0', 'last, stage 1'])
    for figure, true in zip(figures, ('<script>alert(1)</script>', 'many'), strict=False):
        assert figure.frame[['true', 'predicted', 'share']].to_numpy().tolist() == [
            [true, 'absent', 0.5]]


def test_figures_of_runs_whose_names_differ_in_punctuation_alone_have_names_of_their_own(
        validation, runs):
    state = {1: state_of(np.full((3, 3), 1 / 3))}
    shown = [replace(runs[0], name=name, checkpoints=state) for name in ('a/seed-0', 'a_seed.0')]
    names = [figure.name for figure in training_section(validation, shown).blocks]
    assert len(names) == len(set(names))
    assert {'indicator_run_0', 'indicator_run_1'} <= set(names)


def test_a_run_alone_has_no_differences(tmp_path, validation, runs, browser):
    alone = write_run_report(tmp_path, validation, runs[:1], 'No training data.', num_draws=2)
    browser.open(alone)
    browser.draw_all_charts()
    assert browser.errors() == []
    assert 'No training data.' in browser.driver.find_element('id', 'data').text
    assert 'Difference' not in browser.driver.find_element('id', 'summary').text


def test_a_data_set_is_reported_without_training(tmp_path, validation, browser):
    browser.open(write_dataset_report(tmp_path, validation), '#class-11')
    browser.draw_all_charts()
    assert browser.errors() == []
    assert browser.driver.find_element('id', 'class-11').is_displayed()


def test_a_missing_image_is_named(validation, runs):
    lost = replace(validation, image_path=lambda image: f'/nowhere/{image["id"]}.png')
    with pytest.raises(FileNotFoundError, match='/nowhere/'):
        gallery_section(lost, runs)


# What a name of a class may hold; Excel and CSV, HTML, plotly's markup and mmengine's folders all
# have characters that they take for their own.
STRANGE = ('a, "b"; c', '<b>bold</b> & <i>', "it's", '猫 🐈', '%{x} $y$ {{ z }}', 'back\\slash/')


@pytest.fixture(scope='module')
def strange_page(tmp_path_factory, image_folder):
    """A function that writes a report of classes with strange names in groups by thresholds."""

    def write(thresholds):
        counts = (0, 1, 5, 30, 400, 9000)
        categories = [dict(id=i, name=name) for i, name in enumerate(STRANGE, start=1)]
        data = dict(
            images=[dict(id=i, width=100, height=60, file_name=f'{i}.png') for i in range(1, 5)],
            categories=categories,
            annotations=[dict(id=i, image_id=i % 4 + 1, category_id=i, area=100,
                              bbox=[10 * i, 10, 10, 10]) for i in range(1, 7)])
        table = ClassTable(STRANGE, np.minimum(counts, 100), np.array(counts),
                           100).grouped_by_instances(thresholds)
        validation = Validation(data, 'val.json', table,
                                lambda image: str(image_folder / image['file_name']),
                                'COCO-LT', 100)
        found = data['annotations']
        boxes = np.array([a['bbox'] for a in found], dtype=float)
        detections = Detections(
            np.array([a['image_id'] for a in found]),
            np.array([a['category_id'] % 6 + 1 for a in found]), np.linspace(0.2, 0.9, 6),
            np.full(6, 100.), boxes)
        keys = [group.key for group in table.groups]
        run = Run('a, <run>', match_coco_lt(data, detections, table.group_keys(), keys),
                  evaluate_coco_lt_detections(data, detections, table.group_keys(), keys),
                  evaluate_coco_lt_fixed(data, detections, table.group_keys(), keys),
                  {1: ClassifierState([np.ones(6)], [IndicatorState(
                      'confusion matrix', np.ones(6) / 2, np.ones(6), np.full((6, 6), 1 / 6))],
                      [np.arange(6) > 0])})
        # The config of the training data has other thresholds than that of the evaluation.
        training = replace(validation, class_table=table.grouped_by_instances())
        page = write_run_report(tmp_path_factory.mktemp('strange'), validation, [run], training,
                                num_draws=2)
        return page, table

    return write


@pytest.mark.parametrize('thresholds', [(6, 300), (1, 2, 10, 100, 1000)])
def test_groups_are_called_the_same_everywhere(strange_page, thresholds):
    page, table = strange_page(thresholds)
    text = page.read_text()
    assert all(table.groups[position].label in text for position in table.group)
    assert not any(label in text for label in ('20 to 399', '400 to 7,999', '8,000 or more'))
    for name in ('class_frequency', 'class_ap_0', 'weight_norms', 'classes_table'):
        frame = pd.read_csv(page.parent / f'csv/{name}.csv', dtype=str)
        names = frame[next(c for c in ('class_name', 'name', 'class') if c in frame)]
        assert dict(zip(names, frame['group'], strict=True)) == dict(
            zip(table.names, table.group_keys(), strict=True))


def test_strange_names_and_many_groups_are_shown_as_they_are(strange_page, browser):
    page, _ = strange_page((1, 2, 3, 4, 5, 6, 100, 1000))
    browser.open(page)
    browser.draw_all_charts()
    assert browser.errors() == [] and browser.requested() == []
    shown = browser.run('return [...document.querySelectorAll(".class h3")]'
                        '.map(heading => heading.firstChild.textContent.trim())')
    assert shown == list(STRANGE)
