from dataclasses import replace

import numpy as np
import pytest
from bacl.report.page import Images, write_dataset_report, write_run_report
from bacl.report.page.sections import gallery_section, summary_section, training_section

SECTIONS = ['summary', 'data', 'training', 'results', 'comparison', 'gallery', 'classes']


@pytest.fixture(scope='module')
def page(tmp_path_factory, validation, runs):
    training = Images(validation.annotations, 'train.json', validation.classes,
                      validation.image_path)
    states = {1: {'roi_head.bbox_head.fc_cls.weight': np.array([[1., 2.]] * 4)}}
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


@pytest.mark.parametrize('stages', [('', ), ('.0', '.1')])
def test_confusions_of_an_indicator_are_shown_by_names_of_the_file(validation, runs, stages):
    state = {}
    for number, stage in enumerate(stages):
        head = f'roi_head.bbox_head{stage}'
        scores = np.zeros((3, 3))
        scores[number, 2] = 5  # rows are in the order of the file, not of the ids
        state |= {f'{head}.fc_cls.weight': np.ones((4, 2)),
                  f'{head}.loss_cls.indicator.score_sum': scores,
                  f'{head}.loss_cls.indicator.num_samples': np.full(3, 10)}
    without = {1: {'roi_head.bbox_head.fc_cls.weight': np.ones((4, 2))}}
    shown = [replace(runs[0], checkpoints=without), replace(runs[1], checkpoints={1: {}, 2: state})]
    figures = [figure for figure in training_section(validation, shown).blocks
               if figure.name.startswith('indicator_confusions')]
    assert [figure.title.partition(': ')[2] for figure in figures] == (
        ['last'] if len(stages) == 1 else ['last, stage 0', 'last, stage 1'])
    for figure, true in zip(figures, ('<script>alert(1)</script>', 'many'), strict=False):
        assert figure.frame[['true', 'predicted', 'share']].to_numpy().tolist() == [
            [true, 'absent', 0.5]]


def test_figures_of_runs_whose_names_differ_in_punctuation_alone_have_names_of_their_own(
        validation, runs):
    state = {1: {'roi_head.bbox_head.fc_cls.weight': np.ones((4, 2)),
                 'roi_head.bbox_head.loss_cls.indicator.score_sum': np.ones((3, 3)),
                 'roi_head.bbox_head.loss_cls.indicator.num_samples': np.full(3, 10)}}
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
