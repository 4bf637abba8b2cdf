from dataclasses import replace

import pytest
from bacl.analysis.report.examples import collect_examples


def test_every_class_has_examples_and_what_runs_take_them_for(validation, runs):
    examples = collect_examples(validation, runs)
    assert sorted(examples) == [11, 22], 'the third class has no objects'
    assert [example.image_id for example in examples[22]] == [4, 3], 'the larger one first'
    assert examples[22][0].answers == {
        'first': 'many 0.60', 'last': '<script>alert(1)</script> 0.40'}
    assert [example.image_id for example in examples[11]] == [2, 1, 3], 'one of each image'


def test_what_nobody_finds_is_nothing(validation, make_run):
    examples = collect_examples(validation, [make_run('blind', [])])
    assert examples[11][0].answers == {'blind': 'nothing'}


@pytest.mark.parametrize('budget', [3, 3 * 2000, 3 * 5000])
def test_examples_keep_to_the_budget_but_for_one_of_each_class(validation, budget):
    for examples in collect_examples(validation, budget=budget).values():
        assert len(examples) == 1 or sum(len(e.source) for e in examples) <= budget / 3
        assert len(examples) <= max(1, budget // 3 // 2000)


def test_crowds_are_no_examples(validation):
    data = dict(validation.annotations, annotations=[
        dict(annotation, iscrowd=1) for annotation in validation.annotations['annotations']])
    assert collect_examples(replace(validation, annotations=data)) == {}
