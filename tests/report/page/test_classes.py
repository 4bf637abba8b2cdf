import math
from dataclasses import replace

from bacl.annotations.coco import coco_class_table
from bacl.report.page.classes import class_panels, images_class_table, runs_class_table


def test_table_has_ap_of_every_run_and_the_difference(validation, runs):
    table = runs_class_table(validation, runs)
    frame = table.frame.set_index('class')
    assert frame.loc['many', ['training images', 'training objects', 'objects here']].tolist() == [
        300, 400, 4]
    rare = frame.loc['<script>alert(1)</script>']
    assert rare['AP first'] == 0 and math.isclose(rare['AP last'], 100)
    assert math.isclose(rare['last - first'], 100)
    absent = table.cells()[2]
    assert [cell.text for cell in absent[-3:]] == ['n/a'] * 3
    assert table.cells()[1][-1].text == '+100.0'
    assert [row[0].link for row in table.cells()] == ['#class-11', '#class-22', '#class-33']


def test_a_data_set_has_counts_alone(validation):
    table = images_class_table(validation)
    assert table.frame.iloc[:, 2:].to_dict('list') == {
        'images here': [3, 2, 0], 'objects here': [4, 2, 0],
        'training images': [300, 2, 20], 'training objects': [400, 3, 25]}
    assert 'by id' in table.caption


def test_counts_of_training_are_not_repeated_if_they_are_those_of_the_file(validation):
    categories = [{k: v for k, v in category.items() if not k.endswith('_count')}
                  for category in validation.annotations['categories']]
    data = dict(validation.annotations, categories=categories)
    table = images_class_table(replace(validation, annotations=data,
                                       class_table=coco_class_table(data, 'train.json')))
    assert list(table.frame) == ['class', 'group', 'images here', 'objects here']
    assert table.frame['objects here'].tolist() == [4, 2, 0]


def test_a_class_shows_what_it_is_taken_for_both_ways(validation, runs):
    panels = class_panels(runs_class_table(validation, runs), validation, {}, runs[0]).classes
    many, rare, absent = panels
    taken_for, taken_from = rare.confusions.values()
    assert [(c.name, c.category_id, c.count) for c in taken_for] == [('many', 11, 2)]
    assert taken_from == []
    assert [c.category_id for c in list(many.confusions.values())[1]] == [22]
    assert absent.facts['objects here'] == '0' and absent.examples == ()
