import pytest
from bacl.report.page import class_frame


def test_classes_are_in_the_order_of_their_ids_with_counts_of_training(annotations):
    frame = class_frame(annotations, 'val.json')
    assert frame.index.tolist() == [11, 22, 33]
    assert frame['group'].tolist() == ['f', 'r', 'c']
    assert frame['train_instances'].tolist() == [400, 3, 25]


def coco(counts):
    return dict(
        images=[dict(id=1)], categories=[dict(id=i, name=f'{i}') for i in range(len(counts))],
        annotations=[dict(image_id=1, category_id=i) for i, n in enumerate(counts)
                     for _ in range(n)])


def test_a_file_without_groups_has_those_of_coco_lt():
    assert class_frame(coco([19, 20, 400]), 'a.json')['group'].tolist() == ['1', '2', '3']


def test_groups_and_counts_are_those_of_training_if_it_is_given():
    frame = class_frame(coco([1, 1]), 'val.json', coco([25, 3]))
    assert frame['group'].tolist() == ['2', '1']
    assert frame['train_instances'].tolist() == [25, 3]


def test_counts_that_contradict_the_file_are_refused():
    data = coco([2])
    data['categories'][0]['instance_count'] = 3
    with pytest.raises(ValueError, match=r'a\.json.*instance_count'):
        class_frame(data, 'a.json')
