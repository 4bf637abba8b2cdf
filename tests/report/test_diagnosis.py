"""Made-up runs whose fault is known."""
from dataclasses import replace

import bacl  # noqa: F401
import numpy as np
import pandas as pd
import pytest
from bacl.evaluation import Detections, evaluate_detections, evaluate_fixed
from bacl.report.diagnosis import (
    _ERROR_ADVICE,
    _ERROR_WORDS,
    Ends,
    Paths,
    costliest_error,
    images_or_styles,
    rank_or_recognition,
)
from bacl.report.page import Images, Run, Validation
from bacl.report.page.frames import ResultFrames
from bacl.report.page.sections import meaning_section
from bacl.report.results import ERROR_TYPES, StyleRecall, match_lvis

NUM_RARE, NUM_FREQUENT, NUM_OBJECTS = 12, 6, 10
NUM_CLASSES = NUM_RARE + NUM_FREQUENT
NUM_IMAGES = 60
LABELS = [c for c in range(NUM_CLASSES) for _ in range(NUM_OBJECTS)]
IMAGES = [n % NUM_IMAGES for n in range(len(LABELS))]
# Objects of an image stand beside each other.
BOXES = [(40. * (n // NUM_IMAGES), 0., 20., 20.) for n in range(len(LABELS))]
STYLES = ['line' if n % 2 else 'shade' for n in range(len(LABELS))]


@pytest.fixture(scope='module')
def data():
    categories = [dict(id=c, name=f'{"rare" if c < NUM_RARE else "many"} {c}',
                       frequency='r' if c < NUM_RARE else 'f', image_count=c + 1,
                       instance_count=c + 1) for c in range(NUM_CLASSES)]
    images = [dict(id=i, width=200, height=40, neg_category_ids=list(range(NUM_CLASSES)),
                   not_exhaustive_category_ids=[]) for i in range(NUM_IMAGES)]
    annotations = [dict(id=n + 1, image_id=i, category_id=c, bbox=list(box), area=400, iscrowd=0,
                        style=style)
                   for n, (i, c, box, style) in enumerate(zip(IMAGES, LABELS, BOXES, STYLES,
                                                              strict=True))]
    return dict(images=images, categories=categories, annotations=annotations)


@pytest.fixture(scope='module')
def validation(data, lvis_classes):
    classes = lvis_classes('r' * NUM_RARE + 'f' * NUM_FREQUENT, [
        category['name'] for category in data['categories']])
    return Validation(data, 'val.json', classes, lambda image: 'x.png', 'LVIS', 300)


def answers(found):
    """Detections (image, class, box, score) of tuples; what is beside an object is its own."""
    boxes = np.array([box for *_, box, _ in found], dtype=float).reshape(-1, 4)
    return Detections(np.array([i for i, *_ in found], dtype=np.int64),
                      np.array([c for _, c, *_ in found], dtype=np.int64),
                      np.array([score for *_, score in found], dtype=float),
                      boxes[:, 2] * boxes[:, 3], boxes)


def found_by(fault):
    """The detections of a detector that has one fault with rare classes."""
    found = []
    for n, (image, label, box) in enumerate(zip(IMAGES, LABELS, BOXES, strict=True)):
        score = 0.9 - n / 1000
        if label >= NUM_RARE or fault in ('none', 'called rare'):
            found.append((image, label, box, score))
            if label >= NUM_RARE and fault == 'called rare':  # frequent objects, the more so
                found += [(image, other, box, 0.95) for other in range(NUM_RARE)]
        elif fault == 'crowded':
            found.append((image, label, box, score / 10))
        elif fault == 'shifted':
            found.append((image, label, (box[0] + 10, *box[1:]), score))
        elif fault in ('confused', 'siblings'):
            other = NUM_RARE + label % 2 if fault == 'confused' else (label + 1) % NUM_RARE
            found.append((image, other, box, score))
        elif fault == 'few images' and n % NUM_OBJECTS < label:
            found.append((image, label, box, score))
        elif fault == 'few styles' and STYLES[n] == 'line':
            found.append((image, label, box, score))
    if fault == 'crowded':
        found += [(image, NUM_RARE + n % 6, (0, 30, 5, 5), 0.3) for image in range(NUM_IMAGES)
                  for n in range(12)]
    return answers(found)


@pytest.fixture(scope='module')
def diagnose(data, validation):
    """A function that returns the findings on the last of runs with faults, by question."""

    def run_of(name, max_dets):
        found = found_by(name)
        return Run(name, match_lvis(data, found, max_dets),
                   evaluate_detections(data, found, max_dets=max_dets),
                   evaluate_fixed(data, found), paths=Paths('c.py', 'a.pth', 'runs/a'))

    def diagnose(*faults, max_dets=6, training='none'):
        runs = [run_of(fault, max_dets) for fault in faults]
        runs = [replace(run, name=f'{number} {run.name}') for number, run in enumerate(runs)]
        section = meaning_section(validation, runs, ResultFrames.of(validation, runs, 40),
                                  training, [])
        findings, = section.blocks
        return {finding.question: finding for finding in findings.findings}

    return diagnose


def test_a_tail_that_others_crowd_out_has_a_problem_of_rank(diagnose):
    finding = diagnose('crowded')['Rank or recognition?']
    assert finding.verdict == 'rank' and finding.figure == 'fixed_ap'
    assert 'the tail (rare)' in finding.text and '100.0 instead of 0.0' in finding.text
    assert finding.command == 'python tools/calibrate.py c.py a.pth --calibrator LogitAdjustment'


def test_a_tail_that_is_not_known_has_a_problem_of_recognition(diagnose):
    # Only frequent classes are found. The file holds no more than counts: the curve of AP decides.
    finding = diagnose('unknown')['Rank or recognition?']
    assert (finding.verdict, finding.figure) == ('recognition', 'ap_by_cap')
    assert 'max_per_img=1000' in finding.command and 'c.py a.pth' in finding.command
    assert diagnose('few images', max_dets=2)['Rank or recognition?'].verdict == 'recognition'
    assert diagnose('none')['Rank or recognition?'].verdict == 'nothing'


@pytest.mark.parametrize('ap, fixed, deep, verdict', [
    ((0.1, 0.5), (0.4, 0.5), True, 'rank'),
    ((0.1, 0.5), (0.15, 0.5), True, 'recognition'),
    ((0.1, 0.5), (0.3, 0.5), True, 'both'),
    ((0.1, 0.5), (0.1, 0.9), False, 'both'),  # + 0.2 from 100 to 300, 0.2 are left
    ((0.49, 0.5), (0.49, 0.9), True, 'nothing'),
    ((0.1, 0.5), (0.1, 0.1), True, 'nothing'),  # the head is ahead by its scores alone
])
def test_the_larger_part_of_what_the_tail_lacks_decides(ap, fixed, deep, verdict):
    frame = pd.DataFrame(dict(group=['r', 'f'], ap=ap, fixed_ap=fixed))
    caps = pd.DataFrame(dict(cap=[50, 100, 200, 300], group='r', ap=[0, ap[0] - 0.2, 0.1, ap[0]]))
    ends = Ends('r', 'f', dict(r='rare', c='common', f='frequent'))
    assert rank_or_recognition(frame, caps, ends, deep).verdict == verdict


def test_a_detector_that_finds_nothing_is_not_said_to_be_without_a_problem():
    fixed = pd.DataFrame(dict(group=['r', 'f'], ap=[0., 0.01], fixed_ap=[0., 0.2]))
    ends = Ends('r', 'f', dict(r='rare', f='frequent'))
    finding = rank_or_recognition(fixed, None, ends, True)
    assert finding.verdict == 'unknown' and finding.advice.startswith('Train longer')
    assert 'the tail (rare) with AP 0.0, the head (frequent) with 1.0' in finding.text


def test_where_the_evaluation_counts_all_nothing_is_an_estimate():
    # As COCO's, which has a limit on an image and class: there is no deeper test to ask for.
    fixed = pd.DataFrame(dict(group=['r', 'f'], ap=[0.1, 0.5], fixed_ap=[0.1, 0.5]))
    ends = Ends('r', 'f', dict(r='rare', f='frequent'))
    for before, verdict, tool in ((0.1, 'recognition', 'train.py'), (-0.2, 'rank', 'calibrate.py')):
        caps = pd.DataFrame(dict(cap=[100, 300], group='r', ap=[before, 0.1]))
        finding = rank_or_recognition(fixed, caps, ends, False, counts_all=True)
        assert finding.verdict == verdict and tool in finding.command
        assert 'estimate' not in finding.text


@pytest.mark.parametrize('fault, verdict', [
    ('shifted', 'localisation'), ('confused', 'classification'), ('unknown', 'missed'),
    ('none', 'nothing')])
def test_the_error_that_costs_the_tail_most_is_named(diagnose, fault, verdict):
    finding = diagnose(fault)['Localisation or classification?']
    assert (finding.verdict, finding.figure) == (verdict, 'error_gains')
    if verdict != 'nothing':
        assert '100.0 points of AP50' in finding.text
    assert ('calibrate.py' in finding.command) == (verdict == 'classification')


def test_answers_beside_each_other_do_not_contradict(diagnose):
    found = diagnose('crowded')
    assert found['Rank or recognition?'].verdict == 'rank'
    missed = found['Localisation or classification?']
    assert missed.verdict == 'missed' and 'see rank' in missed.text
    assert 'calibrate.py' in missed.command
    found = diagnose('called rare', max_dets=100)
    assert found['Taken for what?'].verdict == 'hardly'
    wrong = found['Localisation or classification?']
    assert wrong.verdict == 'classification' and 'others are taken for it' in wrong.text
    assert wrong.command == 'python tools/analysis_tools/export.py runs/a --out export'


def test_every_type_of_error_has_its_words():
    assert set(_ERROR_ADVICE) == set(_ERROR_WORDS) == set(ERROR_TYPES)
    frame = pd.DataFrame([dict(error=error, group=group, gain_ap50=0.5 * (error == 'duplicate'))
                          for error in ERROR_TYPES for group in 'rf'])
    finding = costliest_error(frame, Ends('r', 'f', dict(r='rare', f='frequent')))
    assert finding.verdict == 'duplicate' and 'nms.iou_threshold' in finding.command
    assert 'for wrong classes and 0.0 for inexact boxes' in finding.text


def test_the_classes_that_the_tail_is_taken_for_are_named(diagnose):
    finding = diagnose('none', 'confused')['Taken for what?']
    assert (finding.verdict, finding.figure) == ('head', 'confused_pairs_1')
    assert '120 times on the 120 objects' in finding.text
    assert 'many 12 (60), many 13 (60)' in finding.text
    siblings = diagnose('siblings')['Taken for what?']
    assert siblings.verdict == 'tail' and 'rare 1 (10)' in siblings.text
    assert diagnose('shifted')['Taken for what?'].verdict == 'hardly'


def test_a_tail_in_which_ap_rises_with_images_has_too_few(diagnose):
    finding = diagnose('few images')['Too few images, or too few styles?']
    assert (finding.verdict, finding.figure) == ('images', 'class_ap_0')
    assert 'rank correlation 1.00' in finding.text and '6.5 training images' in finding.text
    assert diagnose('few styles')['Too few images, or too few styles?'].verdict == 'not images'


def test_objects_of_styles_that_training_lacks_are_counted_if_styles_are_known(
        diagnose, data, validation):
    lines = dict(data, annotations=[a for a in data['annotations'] if a['style'] == 'line'])
    training = Images(lines, 'train.json', validation.class_table, validation.image_path)
    finding = diagnose('few styles', training=training)['Too few images, or too few styles?']
    assert finding.verdict == 'styles'
    assert '100% are found (of 60), of others 0% (of 60)' in finding.text
    assert diagnose('none', training=training)[
        'Too few images, or too few styles?'].verdict == 'not images'


@pytest.mark.parametrize('styles, verdict', [
    (StyleRecall(100, 60, 100, 40), 'styles'),
    (StyleRecall(100, 60, 100, 55), 'unknown'),  # a small difference
    (StyleRecall(10, 6, 10, 4), 'unknown'),  # of few objects
    (StyleRecall(10, 6, 0, 0), 'unknown')])
def test_a_difference_of_styles_has_to_be_clear(styles, verdict):
    frame = pd.DataFrame(dict(group='r', num_objects=5, image_count=[1, 2], ap=[0, 1]))
    ends = Ends('r', 'f', dict(r='rare', f='frequent'))
    assert images_or_styles(frame, ends, 'class_ap_0', styles).verdict == verdict


def test_a_difference_is_real_if_the_interval_leaves_out_zero(diagnose):
    finding = diagnose('unknown', 'none')['Is the difference real?']
    assert (finding.verdict, finding.figure) == ('yes', 'ap_difference')
    assert '+100.0 for the tail (rare) (+100.0 to +100.0)' in finding.text
    assert finding.command == 'python tools/train.py c.py --seed 1 --work-dir runs/a-seed1'
    assert diagnose('none', 'none')['Is the difference real?'].verdict == 'no'
    alone = diagnose('none')['Is the difference real?']
    assert (alone.verdict, alone.figure) == ('one run', 'group_ap')
    assert 'BASELINE_WORK_DIR runs/a ' in alone.command


def test_without_objects_nothing_is_said(data, validation):
    nothing = dict(data, annotations=[])
    run = Run('a', match_lvis(nothing, found_by('none')), None,
              evaluate_fixed(nothing, found_by('none')))
    run = replace(run, result=run.fixed)
    empty = replace(validation, annotations=nothing)
    assert meaning_section(empty, [run], None, 'none', []).blocks == []


def test_a_tail_without_a_head_is_not_compared(validation):
    fixed = pd.DataFrame(dict(group=['all', 'r', 'c'], ap=[0.3, 0.3, np.nan],
                              fixed_ap=[0.3, 0.3, np.nan]))
    ends = Ends.of(validation.classes.groups, dict(r=3, c=0, f=0))
    assert (ends.tail, ends.head, ends.more_frequent()) == ('r', 'r', ['c', 'f'])
    finding = rank_or_recognition(fixed, None, ends, True)
    assert finding.verdict == 'nothing' and 'one group, rare, with AP 30.0' in finding.text
    with pytest.raises(ValueError, match='expects a group with objects'):
        Ends.of(validation.classes.groups, {})
