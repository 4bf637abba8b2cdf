import copy
import math
import re
from pathlib import Path

import bacl
import pytest
from bacl.annotations.audit import Audit, audit_annotations
from bacl.annotations.rules import NUM_EXAMPLES, RULES, Finding
from bacl.annotations.use import Use
from bacl.datasets.image_audit import IMAGE_RULES
from bacl.datasets.image_level.records import IMAGE_LEVEL_RULES
from bacl.engine.checking.data_check import BAD_CLASSES, BAD_FILE
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


# Besides another rule these tell what follows from it.
FOLLOWING = {'unused-image', 'unused-category'}


def changed(change) -> dict:
    data = copy.deepcopy(FINE)
    change(data)
    return data


def run(change=lambda data: None, **use) -> Audit:
    return audit_annotations(changed(change), Use('COCO', **{
        'purpose': 'training', 'name_field': 'file_name', **use}))


def audit(change=lambda data: None, **use) -> dict[str, Finding]:
    return {finding.rule.name: finding for finding in run(change, **use).findings}


def update(section, **fields):
    return lambda data: data[section][1].update(fields)


def test_nothing_is_found_in_a_file_without_faults():
    assert audit() == {}


@pytest.mark.parametrize('change, rule, example', [
    *[(update(section, id=value), 'bad-id', re.escape(f'{kind} {value!r}'))
      for section, kind in (('images', 'image'), ('annotations', 'annotation'),
                            ('categories', 'category'))
      for value in ('2', 2.0, 1.7, None, True, [2], 2**70)],
    (update('images', id=1), 'duplicate-id', 'image 1'),
    (update('annotations', id=1), 'duplicate-id', 'annotation 1'),
    (update('categories', id=1), 'duplicate-id', 'category 1'),
    (update('categories', name='emu'), 'duplicate-id', "category 'emu'"),
    *[(update('annotations', image_id=value), 'unknown-image',
       re.escape(f'annotation 2 of image {value!r}'))
      for value in (9, None, '2', [2], 2.0, 1.7, True)],
    *[(update('annotations', category_id=value), 'unknown-category',
       re.escape(f'annotation 2 of category {value!r}')) for value in (9, -1, None, [2])],
    *[(update('images', **{side: value}), 'bad-image', f"image 2: '2.jpg', .*{value}")
      for side in ('width', 'height')
      for value in (0, -5, 40.0, 0.5, True, math.nan, math.inf, None, '40')],
    *[(update('images', file_name=value), 'bad-image', f'image 2: {value!r}')
      for value in (None, '', 7)],
    *[(update('annotations', bbox=value), 'bad-box', re.escape(f'annotation 2 of image 2: bbox '
                                                               f'{value!r}'[:90]))
      for value in ([math.nan, 0, 4, 5], [0, 0, math.inf, 5], [0, 0, 4, None], [0, 0, 4],
                    [0, 0, 4, 5, 6], [], None, '0 0 4 5', 'abcd', ['0', '0', '4', '5'],
                    [0, 0, 4, True], [[0, 0, 4, 5]], [0, 0, 4, 10**400], {'x': 1}, 3)],
    *[(update('annotations', area=value), 'bad-box', f'area {value!r}')
      for value in (math.nan, math.inf, None, '20', True)],
    *[(update('annotations', **{flag: value}), 'bad-flag', f'annotation 2: {flag} {value!r}')
      for flag in ('iscrowd', 'ignore') for value in ('0', 2, -1, 0.0, None)],
    *[(update('categories', **fields), 'bad-category', f'category 2: {next(iter(fields))}')
      for fields in (dict(name=None), dict(name=''), dict(name=7), dict(image_count=1.5),
                     dict(instance_count='3'), dict(instance_count=-1))],
    *[(update('images', neg_category_ids=value), 'bad-federated', 'image 2: neg_category_ids')
      for value in (None, [1.7], ['1'], 3, [True])],
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
        run(change).refuse('a.json')


@pytest.mark.parametrize('change, rule, example', [
    (update('annotations', bbox=[8, 8, 0, 5]), 'small-box', 'annotation 2'),
    (update('annotations', bbox=[8, 8, 0.9, 5]), 'small-box', 'annotation 2'),
    (update('annotations', area=0), 'small-box', 'annotation 2'),
    (update('annotations', area=-1), 'small-box', 'annotation 2'),
    (update('annotations', bbox=[0.1, 0.2, 0.3, 0.7]), 'normalised-box', 'annotation 2'),
    (update('annotations', iscrowd=1), 'crowd', 'annotation 2'),
    (update('annotations', ignore=True), 'ignored', 'annotation 2'),
    (update('annotations', iscrowd=1), 'unused-image', 'image 2'),
    (update('annotations', iscrowd=1), 'unused-category', "category 2 'cat'"),
    (update('images', file_name='1.jpg'), 'duplicate-image', '1.jpg: images 1, 2'),
    (lambda data: data['annotations'].append({**data['annotations'][1], 'id': 9}),
     'duplicate-box', 'annotation 9'),
    (update('annotations', bbox=[40, 0, 4, 5]), 'box-outside', 'annotation 2'),
    (update('annotations', bbox=[0, -9, 4, 9]), 'box-outside', 'annotation 2'),
    (update('annotations', bbox=[0, 0, 41.1, 5]), 'box-overhang', 'annotation 2'),
    (update('annotations', bbox=[0, -1.1, 4, 5]), 'box-overhang', 'annotation 2'),
    (update('annotations', image_id=1), 'empty-image', 'image 2'),
    (update('annotations', category_id=1), 'empty-category', "category 2 'cat'"),
])
def test_what_is_counted_names_the_record(change, rule, example):
    found = audit(change)
    assert rule not in REFUSED and found.keys() - FOLLOWING - {rule} <= {'crowd'}
    assert found[rule].count == 1 and found[rule].examples[0].startswith(example)
    run(change).refuse('a.json')
    assert rule in run(change).summary(FINE, 'a.json')


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


@pytest.mark.parametrize('purpose, rule', [
    ('training', 'no-annotations'), ('evaluation', 'no-ground-truth'), ('prediction', None)])
@pytest.mark.parametrize('change', [lambda data: data.update(annotations=[]),
                                    lambda data: data.pop('annotations')])
def test_without_annotations_only_prediction_is_possible(change, purpose, rule):
    found = audit(change, purpose=purpose)
    assert found.keys() == ({rule} if rule else set()) and found.keys() <= REFUSED


@pytest.mark.parametrize('format_name, flag, rule', [
    ('COCO', 'iscrowd', {'no-ground-truth', 'crowd'}), ('COCO', 'ignore', {'ignored'}),
    ('LVIS', 'ignore', {'no-ground-truth', 'ignored'}), ('LVIS', 'iscrowd', {'crowd'})])
def test_evaluation_needs_an_object_to_find(format_name, flag, rule):
    def change(data):
        for annotation in data['annotations']:
            annotation[flag] = 1

    found = audit_annotations(changed(change), Use(format_name, purpose='evaluation'))
    assert {finding.rule.name for finding in found.findings} == rule


def grow(data, number=38):
    """Make it ``number`` annotations more, like the second, at different places."""
    data['annotations'] += [{**data['annotations'][1], 'id': 10 + i, 'bbox': [i / 2, 0, 4, 20]}
                            for i in range(number)]


@pytest.mark.parametrize('fields, rule', [
    (dict(iscrowd=1), 'crowd'), (dict(ignore=1), 'ignored'), (dict(area=0), 'small-box'),
    (dict(bbox=[0.1, 0.1, 0.5, 0.5]), 'normalised-box'), (dict(bbox=[50, 5, 9, 9]), 'box-outside')])
@pytest.mark.parametrize('num_left, refused', [(0, True), (3, True), (4, False), (20, False)])
def test_training_on_nothing_or_nearly_nothing_is_refused_with_the_reason(fields, rule, num_left,
                                                                          refused):
    def change(data):
        grow(data)
        for annotation in data['annotations'][num_left:]:
            annotation.update(fields)

    result = run(change)
    found = {finding.rule.name: finding for finding in result.findings}
    reason = f'Training sees {num_left} of 40 annotations'
    assert reason in result.left_out and f'annotations: {40 - num_left} {rule}' in result.left_out
    assert ('nothing-left' in found) == refused
    if refused:
        assert reason in str(found['nothing-left'])
    assert 'nothing-left' not in {
        finding.rule.name for finding in run(change, purpose='prediction').findings}


def test_what_is_left_out_is_summed_up_by_rule():
    def change(data):
        grow(data)
        data['annotations'][0]['iscrowd'] = 1
        data['annotations'][5]['area'] = 0
        data['images'] += [{**data['images'][0], 'id': 3, 'file_name': '3.jpg'},
                           {**data['images'][0], 'id': 4, 'file_name': '4.jpg', 'width': 9}]
        data['annotations'].append({**data['annotations'][1], 'id': 99, 'image_id': 4,
                                    'bbox': [1, 1, 5, 5]})
        data['categories'].append({'id': 3, 'name': 'yak'})

    assert run(change).left_out == (
        'Training sees 39 of 41 annotations, 4 of 4 images, 1 of 3 classes. Left out: '
        'annotations: 1 small-box, 1 crowd; classes: 1 empty-category, 1 unused-category.')
    assert 'images: 1 empty-image;' in run(change, filters_empty=True).left_out
    assert 'images: 1 empty-image, 1 unused-image;' in run(change, drops_empty=True).left_out
    small = run(change, min_size=10)
    assert '1 crowd, 1 in a small-image; images: 1 small-image;' in small.left_out
    assert [finding.examples for finding in small.findings
            if finding.rule.name == 'small-image'] == [['image 4']]


def test_no_image_left_is_refused():
    assert 'nothing-left' in audit(min_size=100)


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
        if 0 < min(w, h) < 1 and x >= 0 and y >= 0 and x + w <= 1 and y + h <= 1:
            return 'normalised-box'
        if w < 1 or h < 1 or area <= 0:
            return 'small-box'
        if x + w <= 0 or y + h <= 0 or x >= WIDTH or y >= HEIGHT:
            return 'box-outside'
        if x < -1 or y < -1 or x + w > WIDTH + 1 or y + h > HEIGHT + 1:
            return 'box-overhang'
        return None

    expected = [name for box in boxes if (name := rule(*box))]
    # Not as training: how much is left does not matter.
    found = audit(change, purpose='prediction')
    found.pop('duplicate-box', None)
    assert {name: finding.count for name, finding in found.items()} == {
        name: expected.count(name) for name in expected}


def test_documentation_lists_the_rules_and_which_of_them_refuse():
    text = Path(bacl.__file__).with_name('datasets').joinpath('README.md').read_text()
    documented = re.findall(r'^\| `([\w-]+)` \| .* \| (refused|counted|handled)\b', text, re.M)
    rules = [BAD_FILE, BAD_CLASSES, *RULES, *IMAGE_LEVEL_RULES, *IMAGE_RULES]
    assert [name for name, _ in documented] == [rule.name for rule in rules]
    assert [outcome == 'refused' for _, outcome in documented] == [rule.refused for rule in rules]
