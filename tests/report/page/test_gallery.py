import numpy as np
from bacl.annotations import FrequencyGroup
from bacl.annotations.class_table import LVIS_GROUPS
from bacl.evaluation import Detections
from bacl.report.page.gallery import (
    _annotated,
    _detected,
    choose_images,
    draw_gallery,
    num_found,
    rarest_group,
    shown,
)
from bacl.report.page.inputs import Run
from bacl.report.results import match_coco_lt, match_lvis
from bacl.visualization.group_styles import GroupStyles
from hypothesis import given, settings
from hypothesis import strategies as st


def rules(chosen):
    return {image: rule for image, rule in chosen}


def test_as_many_detections_are_shown_as_there_are_objects(make_run):
    found = [(4, 11, (0, 0, 9, 9), 0.9), (4, 22, (20, 20, 40, 20), 0.8)]
    matches = make_run('run', found).matches
    assert matches.label[shown(matches)].tolist() == [0], 'image 4 has one object'
    assert num_found(matches).tolist() == [0, 0, 0, 0], 'the right one is the second'


def detections_of(found):
    boxes = np.array([box for *_, box in found], dtype=float)
    image, category, score = (np.array(column) for column in list(zip(*found, strict=True))[:3])
    return Detections(image, category, score, boxes[:, 2] * boxes[:, 3], boxes)


A, B = (0, 0, 10, 10), (50, 0, 10, 10)
GROUPS = GroupStyles([*LVIS_GROUPS, FrequencyGroup('1', 'some')])


def test_detections_of_unlabelled_classes_take_no_place():
    data = dict(
        images=[dict(id=1, neg_category_ids=[], not_exhaustive_category_ids=[])],
        categories=[dict(id=i, name=f'{i}', frequency='f') for i in (1, 2)],
        annotations=[dict(image_id=1, category_id=1, bbox=list(box), area=100) for box in (A, B)])
    found = detections_of([(1, 2, 0.9, A), (1, 2, 0.8, B), (1, 1, 0.7, A), (1, 1, 0.6, B)])
    matches = match_lvis(data, found)
    assert num_found(matches).tolist() == [2]
    assert _detected(Run('run', matches, None, None), 0, GROUPS).title == 'run: 2 of 2 found'
    # What is beyond the cap does not count in the evaluation, nor here.
    assert num_found(match_lvis(data, found, max_dets=3)).tolist() == [1]


def test_crowds_and_what_finds_them_do_not_count():
    data = dict(
        images=[dict(id=1)], categories=[dict(id=1, name='1')],
        annotations=[dict(image_id=1, category_id=1, bbox=list(box), area=100, iscrowd=crowd)
                     for box, crowd in ((A, 1), (B, 0))])
    matches = match_coco_lt(data, detections_of([(1, 1, 0.9, A), (1, 1, 0.8, B), (1, 1, 0.7, B)]),
                            ['1'], ['1'])
    panel = _detected(Run('run', matches, None, None), 0, GROUPS)
    assert panel.title == 'run: 1 of 1 found'
    assert [(mark.box, mark.is_right) for mark in panel.marks] == [(B, True)]
    annotated = _annotated(matches, 0, GROUPS)
    assert annotated.title == 'annotated: 1' and [m.box for m in annotated.marks] == [B]


def test_an_image_of_crowds_alone_is_not_chosen():
    data = dict(
        images=[dict(id=1)], categories=[dict(id=1, name='1')],
        annotations=[dict(image_id=1, category_id=1, bbox=list(A), area=100, iscrowd=1)])
    matches = match_coco_lt(data, detections_of([(1, 1, 0.9, A)]), ['1'], ['1'])
    assert choose_images([Run('run', matches, None, None)]) == []
    assert rarest_group(matches) == ''


def test_images_are_chosen_by_rule_and_once(runs):
    chosen = choose_images(runs, num_per_rule=1)
    assert len(rules(chosen)) == len(chosen)
    gain, loss, rare = (next(image for image, rule in chosen if rule == wanted)
                        for wanted in ('gain', 'loss', 'rare'))
    assert (gain, loss, rare) == (2, 0, 3), 'positions of the images 3, 1 and 4'
    assert rarest_group(runs[0].matches) == 'r'


def test_no_image_gains_or_loses_in_a_single_run(runs):
    assert {rule for _, rule in choose_images(runs[:1])} == {'rare', 'random'}


def test_random_images_follow_the_seed(runs):
    assert choose_images(runs[:1], 4, seed=3) == choose_images(runs[:1], 4, seed=3)
    assert len({tuple(choose_images(runs[:1], 1, seed=seed)) for seed in range(20)}) > 1


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_number_found_agrees_with_a_loop_over_images(annotations, seed):
    rng = np.random.default_rng(seed)
    objects = annotations['annotations']
    picked = rng.integers(0, len(objects), 12)
    boxes = np.array([objects[i]['bbox'] for i in picked], dtype=float)
    detections = Detections(
        np.array([objects[i]['image_id'] for i in picked]), rng.choice([11, 22, 33], 12),
        rng.permutation(12) / 12, boxes[:, 2] * boxes[:, 3], boxes)
    matches = match_lvis(annotations, detections)
    expected = []
    for image in annotations['images']:
        here = [a for a in objects if a['image_id'] == image['id']]
        best = sorted((i for i in range(12) if detections.image_id[i] == image['id']),
                      key=lambda i: -detections.score[i])[:len(here)]
        # Boxes are those of objects, which do not overlap: right if class and box are the same.
        expected.append(len({tuple(boxes[i]) for i in best for a in here
                             if a['category_id'] == detections.category_id[i]
                             and a['bbox'] == boxes[i].tolist()}))
    assert num_found(matches).tolist() == expected


def test_pictures_show_annotations_and_every_run(validation, runs):
    pictures = {picture.name: picture for picture in draw_gallery(validation, runs)}
    assert sorted(pictures) == [f'picture-{i}' for i in range(1, 5)]
    annotated, first, last = pictures['picture-4'].panels
    assert [mark.text for mark in annotated.marks] == ['<script>alert(1)</script>']
    assert annotated.marks[0].box == (20, 20, 40, 20) and annotated.marks[0].group == 0
    assert [(m.text, m.is_right, m.group) for m in first.marks] == [('many 0.60', False, 2)]
    assert last.marks[0].is_right and last.title == 'last: 1 of 1 found'
