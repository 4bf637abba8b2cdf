from dataclasses import replace

import numpy as np
import pytest
from bacl.evaluation import Detections
from bacl.report.page import Run
from bacl.report.page.examples import collect_examples
from bacl.report.results import match_lvis


def test_every_class_has_examples_and_what_runs_take_them_for(validation, runs):
    examples = collect_examples(validation, runs)
    assert sorted(examples) == [11, 22], 'the third class has no objects'
    assert [example.image_id for example in examples[22]] == [4, 3], 'the larger one first'
    assert examples[22][0].answers == {
        'first': 'many 0.60', 'last': '<script>alert(1)</script> 0.40'}
    assert [example.image_id for example in examples[11]] == [2, 1, 3], 'one of each image'


def test_detections_of_unlabelled_classes_are_no_answer_but_not_said_to_be_none(validation):
    images = [dict(image, neg_category_ids=[]) for image in validation.annotations['images']]
    data = dict(validation.annotations, images=images)
    detections = Detections(np.array([2]), np.array([33]), np.array([0.9]), np.array([900.]),
                            np.array([[5., 5, 30, 30]]))
    run = Run('run', match_lvis(data, detections), None, None)
    examples = collect_examples(replace(validation, annotations=data), [run])
    assert examples[11][0].image_id == 2
    assert examples[11][0].answers == {'run': 'nothing of a labelled class'}


@pytest.mark.parametrize('budget', [3, 3 * 2000, 3 * 5000])
def test_examples_keep_to_the_budget_but_for_one_of_each_class(validation, budget):
    for examples in collect_examples(validation, budget=budget).values():
        assert len(examples) == 1 or sum(len(e.source) for e in examples) <= budget / 3
        assert len(examples) <= max(1, budget // 3 // 2000)


def test_crowds_are_no_examples(validation):
    data = dict(validation.annotations, annotations=[
        dict(annotation, iscrowd=1) for annotation in validation.annotations['annotations']])
    assert collect_examples(replace(validation, annotations=data)) == {}
