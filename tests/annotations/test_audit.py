import copy
import math
import re
from pathlib import Path

import bacl
import pytest
from bacl.annotations.audit import (
    NUM_EXAMPLES,
    RULES,
    Finding,
    audit_annotations,
    refuse,
    summarise,
)
from bacl.datasets.image_audit import IMAGE_RULES
from bacl.engine.checking.data_check import BAD_FILE
from hypothesis import given
from hypothesis import strategies as st

WIDTH, HEIGHT = 40, 30
FINE = {
    'images': [{'id': i, 'file_name': f'{i}.jpg', 'width': WIDTH, 'height': HEIGHT}
               for i in (1, 2)],
    'categories': [{'id': 1, 'name': 'emu'}, {'id': 2, 'name': 'cat'}],
    'annotations': [
        {'id': 1, 'image_id': 1, 'category_id': 1, 'bbox': [0, 0, 4, 5.5], 'area': 20},
        {'id': 2, 'image_id': 2, 'category_id': 2, 'bbox': [36, 0, 4, 30], 'area': 120}]}
REFUSED = {rule.name for rule in RULES if rule.refused}
UNKNOWN = {'unknown-image', 'unknown-category'}


def audit(change=lambda data: None, training=True) -> dict[str, Finding]:
    data = copy.deepcopy(FINE)
    change(data)
    return {finding.rule.name: finding
            for finding in audit_annotations(data, 'file_name', training)}


def update(section, **fields):
    return lambda data: data[section][1].update(fields)


def test_nothing_is_found_in_a_file_without_faults():
    assert audit() == {}


@pytest.mark.parametrize('change, rule, example', [
    *[(update(section, id=value), 'bad-id', re.escape(f'{kind} {value!r}'))
      for section, kind in (('images', 'image'), ('annotations', 'annotation'),
                            ('categories', 'category'))
      for value in ('2', 2.0, None, True, [2])],
    (update('images', id=1), 'duplicate-id', 'image 1'),
    (update('annotations', id=1), 'duplicate-id', 'annotation 1'),
    (update('categories', id=1), 'duplicate-id', 'category 1'),
    (update('categories', name='emu'), 'duplicate-id', "category 'emu'"),
    *[(update('annotations', image_id=value), 'unknown-image',
       re.escape(f'annotation 2 of image {value!r}')) for value in (9, None, '2', [2])],
    *[(update('annotations', category_id=value), 'unknown-category',
       re.escape(f'annotation 2 of category {value!r}')) for value in (9, -1, None, [2])],
    *[(update('images', **{side: value}), 'bad-image', f"image 2: '2.jpg', .*{value}")
      for side in ('width', 'height') for value in (0, -5, math.nan, math.inf, None, '40')],
    *[(update('images', file_name=value), 'bad-image', f'image 2: {value!r}')
      for value in (None, '', 7)],
    *[(update('annotations', bbox=value), 'bad-box', re.escape(f'annotation 2 of image 2: bbox '
                                                               f'{value}'))
      for value in ([math.nan, 0, 4, 5], [0, 0, math.inf, 5], [0, 0, 4, None], [0, 0, 4],
                    [0, 0, 4, 5, 6], [], None, '0 0 4 5', ['0', '0', '4', '5'], [0, 0, 4, True])],
    *[(update('annotations', area=value), 'bad-box', f'area {value}')
      for value in (math.nan, math.inf, None, '20')],
    (update('annotations', bbox=[8, 8, -4, 5]), 'negative-box', 'annotation 2'),
    (update('annotations', bbox=[8, 8, 4, -0.1]), 'negative-box', 'annotation 2'),
])
def test_what_is_refused_names_the_record(change, rule, example):
    found = audit(change)
    # Annotations may still refer to the id that an image or a category had.
    assert rule in REFUSED and found.keys() & REFUSED - UNKNOWN <= {rule}
    assert found[rule].count == 1 and re.search(example, found[rule].examples[0])
    with pytest.raises(ValueError, match=rf'(?s)a\.json is refused:.*  {rule}, 1: .*{example}.*'
                       r'python -m bacl\.check data CONFIG'):
        refuse(found.values(), 'a.json')


@pytest.mark.parametrize('change, rule, example', [
    (update('annotations', bbox=[8, 8, 0, 5]), 'small-box', 'annotation 2'),
    (update('annotations', bbox=[8, 8, 0.9, 5]), 'small-box', 'annotation 2'),
    (update('annotations', area=0), 'small-box', 'annotation 2'),
    (update('annotations', area=-1), 'small-box', 'annotation 2'),
    (update('annotations', bbox=[40, 0, 4, 5]), 'box-outside', 'annotation 2'),
    (update('annotations', bbox=[0, -9, 4, 9]), 'box-outside', 'annotation 2'),
    (update('annotations', bbox=[0, 0, 41.1, 5]), 'box-overhang', 'annotation 2'),
    (update('annotations', bbox=[0, -1.1, 4, 5]), 'box-overhang', 'annotation 2'),
    (update('annotations', image_id=1), 'empty-image', 'image 2'),
    (update('annotations', category_id=1), 'empty-category', "category 2 'cat'"),
])
def test_what_is_counted_names_the_record(change, rule, example):
    found = audit(change)
    assert list(found) == [rule] and rule not in REFUSED
    assert found[rule].count == 1 and found[rule].examples[0].startswith(example)
    refuse(found.values(), 'a.json')
    assert rule in summarise(FINE, found.values(), 'a.json')


def test_less_than_a_pixel_beyond_the_image_is_rounding():
    assert audit(update('annotations', bbox=[-0.9, 0, 41.7, 30.5])) == {}


@pytest.mark.parametrize('ids, rules', [
    ([7, 3], {'id-gaps'}), ([1, 3], {'id-gaps'}), ([0, 1], {'id-0'}), ([5, 6], set())])
def test_any_category_ids_are_handled(ids, rules):
    def change(data):
        for records, key in ((data['categories'], 'id'), (data['annotations'], 'category_id')):
            for record, value in zip(records, ids, strict=True):
                record[key] = value

    assert audit(change).keys() == rules


@pytest.mark.parametrize('training, rule', [(True, 'no-annotations'), (False, 'no-ground-truth')])
@pytest.mark.parametrize('change', [lambda data: data.update(annotations=[]),
                                    lambda data: data.pop('annotations')])
def test_no_annotation_is_refused_in_training_only(change, training, rule):
    found = audit(change, training)
    assert found.keys() & {'no-annotations', 'no-ground-truth'} == {rule}
    assert (rule in REFUSED) == training


def test_many_records_are_counted_and_some_named():
    def change(data):
        for i in range(100):
            data['annotations'].append({**data['annotations'][0], 'id': 10 + i, 'image_id': 9})

    finding = audit(change)['unknown-image']
    assert finding.count == 100 and len(finding.examples) == NUM_EXAMPLES
    assert str(finding).startswith('unknown-image, 100: ') and ', ...)' in str(finding)


def test_infinite_boxes_raise_no_warning(recwarn):
    audit(update('annotations', bbox=[math.inf, 0, -math.inf, 5]))
    assert not recwarn.list


coordinate = st.one_of(
    st.sampled_from([0, 1, -1, 0.5, WIDTH, HEIGHT, WIDTH + 1, math.nan, math.inf, -math.inf, None]),
    st.floats(-60, 60))


@given(st.lists(st.tuples(st.lists(coordinate, min_size=4, max_size=4),
                          st.one_of(st.sampled_from([0, math.nan]), st.floats(-1, 90))),
                max_size=12))
def test_boxes_are_under_the_rule_of_the_slow_twin(boxes):
    def change(data):
        data['annotations'] += [
            {'id': 10 + i, 'image_id': 1 + i % 2, 'category_id': 1, 'bbox': bbox, 'area': area}
            for i, (bbox, area) in enumerate(boxes)]

    def rule(bbox, area):
        if any(v is None or not math.isfinite(v) for v in (*bbox, area)):
            return 'bad-box'
        x, y, w, h = bbox
        if w < 0 or h < 0:
            return 'negative-box'
        if w < 1 or h < 1 or area <= 0:
            return 'small-box'
        if x + w <= 0 or y + h <= 0 or x >= WIDTH or y >= HEIGHT:
            return 'box-outside'
        if x < -1 or y < -1 or x + w > WIDTH + 1 or y + h > HEIGHT + 1:
            return 'box-overhang'
        return None

    expected = [name for box in boxes if (name := rule(*box))]
    assert {name: finding.count for name, finding in audit(change).items()} == {
        name: expected.count(name) for name in expected}


def test_documentation_lists_the_rules_and_which_of_them_refuse():
    text = Path(bacl.__file__).with_name('datasets').joinpath('README.md').read_text()
    documented = re.findall(r'^\| `([\w-]+)` \| .* \| (refused|counted|handled)\b', text, re.M)
    rules = [BAD_FILE, *RULES, *IMAGE_RULES]
    assert [name for name, _ in documented] == [rule.name for rule in rules]
    assert [outcome == 'refused' for _, outcome in documented] == [rule.refused for rule in rules]
