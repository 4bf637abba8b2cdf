import copy

import bacl  # noqa: F401
import numpy as np
import pytest
from bacl.analysis.objects import ObjectTable

IMAGES = [dict(id=40, width=80, height=60), dict(id=7, width=10, height=20)]
CATEGORIES = [dict(id=9, name='zebra', frequency='r'), dict(id=2, name='ant', frequency='f')]
ANNOTATIONS = [dict(id=1, image_id=7, category_id=9, bbox=[1, 2, 3, 4]),
               dict(id=2, image_id=40, category_id=2, bbox=[0, 0, 80, 60.5], iscrowd=1)]


def content(**changes):
    data = dict(images=IMAGES, categories=CATEGORIES, annotations=ANNOTATIONS)
    return copy.deepcopy({**data, **changes})


def test_classes_are_ordered_by_id_and_images_as_in_the_file():
    data = content()
    table = ObjectTable.from_annotations(data, 'a.json')
    assert data == content()
    assert table.class_names.tolist() == ['ant', 'zebra'] and table.groups.tolist() == ['f', 'r']
    assert table.image_ids.tolist() == [40, 7]
    assert table.image_sizes.tolist() == [[80, 60], [10, 20]]
    assert table.image.tolist() == [1, 0] and table.label.tolist() == [1, 0]
    assert table.box.tolist() == [[1, 2, 3, 4], [0, 0, 80, 60.5]]
    assert (table.num_classes, table.num_images) == (2, 2)


def test_a_file_without_groups_gets_those_of_coco_lt():
    plain = [dict(id=9, name='zebra'), dict(id=2, name='ant')]
    annotations = [dict(ANNOTATIONS[0], id=10 + i) for i in range(20)] + ANNOTATIONS[1:]
    data = content(categories=plain, annotations=annotations)
    assert ObjectTable.from_annotations(data).groups.tolist() == ['1', '2']
    counted = ObjectTable.from_annotations(data, train_instance_count=[8000, 399])
    assert counted.groups.tolist() == ['4', '2']
    # Groups of the file come before counts.
    assert ObjectTable.from_annotations(content(), train_instance_count=[0, 0]).groups.tolist() \
        == ['f', 'r']
    with pytest.raises(ValueError, match=r'train_instance_count=.* 2 classes, got 1'):
        ObjectTable.from_annotations(data, train_instance_count=[5])


def test_a_dataset_without_objects_is_empty():
    table = ObjectTable.from_annotations(content(images=[], annotations=[]))
    assert table.box.shape == (0, 4) and table.image_sizes.shape == (0, 2)
    assert table.image.dtype == table.label.dtype == np.int64


@pytest.mark.parametrize(('changes', 'message'), [
    (dict(annotations=[dict(ANNOTATIONS[0], bbox=[1, 2, 3])]), 'annotation 1 .*bbox'),
    (dict(annotations=ANNOTATIONS + [dict(ANNOTATIONS[0], id=5, bbox=[1, 2])]),
     'a.json is refused(?s:.*)annotation 5'),
    (dict(annotations=[dict(ANNOTATIONS[0], bbox=[1, 2, float('nan'), 4])]), 'bbox'),
    (dict(annotations=[dict(ANNOTATIONS[0], bbox=['1', '2', 'x', '4'])]), 'bbox'),
    (dict(annotations=[dict(ANNOTATIONS[0], image_id=3)]), 'annotation 1 of image 3'),
    (dict(annotations=[dict(ANNOTATIONS[0], category_id=3)]), 'annotation 1 of category 3'),
    (dict(annotations=[dict(image_id=7, category_id=9)]), "no 'bbox'"),
    (dict(images=[*IMAGES, dict(id=1, width=0, height=4)]), 'image 1: 0 x 4'),
    (dict(images=[dict(id=1, width=4)]), "no 'height'"),
    (dict(categories=[]), "'categories' is empty")])
def test_a_faulty_file_is_refused_with_the_record(changes, message):
    with pytest.raises(ValueError, match=message):
        ObjectTable.from_annotations(content(**changes), 'a.json')
