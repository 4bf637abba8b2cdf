import copy

import bacl  # noqa: F401
import numpy as np
import pytest
from bacl.report.objects import ObjectTable

IMAGES = [dict(id=40, width=80, height=60), dict(id=7, width=10, height=20)]
CATEGORIES = [dict(id=9, name='zebra', frequency='r'), dict(id=2, name='ant', frequency='f')]
ANNOTATIONS = [dict(id=1, image_id=7, category_id=9, bbox=[1, 2, 3, 4]),
               dict(id=2, image_id=40, category_id=2, bbox=[0, 0, 80, 60.5], iscrowd=1)]


@pytest.fixture
def classes(lvis_classes):
    return lvis_classes('fr', ['ant', 'zebra'])


def content(**changes):
    data = dict(images=IMAGES, categories=CATEGORIES, annotations=ANNOTATIONS)
    return copy.deepcopy({**data, **changes})


def test_classes_are_ordered_by_id_and_images_as_in_the_file(classes):
    data = content()
    table = ObjectTable.from_annotations(data, classes, 'a.json')
    assert data == content()
    assert table.classes is classes
    assert table.image_ids.tolist() == [40, 7]
    assert table.image_sizes.tolist() == [[80, 60], [10, 20]]
    assert table.image.tolist() == [1, 0] and table.label.tolist() == [1, 0]
    assert table.box.tolist() == [[1, 2, 3, 4], [0, 0, 80, 60.5]]
    assert (table.num_classes, table.num_images) == (2, 2)


def test_classes_of_another_file_are_refused(lvis_classes):
    with pytest.raises(ValueError, match='2 classes of a.json, got 2 others'):
        ObjectTable.from_annotations(content(), lvis_classes('rf', ['zebra', 'ant']), 'a.json')


def test_a_dataset_without_objects_is_empty(classes):
    table = ObjectTable.from_annotations(content(images=[], annotations=[]), classes)
    assert table.box.shape == (0, 4) and table.image_sizes.shape == (0, 2)
    assert table.image.dtype == table.label.dtype == np.int64


@pytest.mark.parametrize(('changes', 'message'), [
    (dict(annotations=[dict(ANNOTATIONS[0], bbox=[1, 2, 3])]), 'Annotation 1 .*Four finite'),
    (dict(annotations=ANNOTATIONS + [dict(ANNOTATIONS[0], id=5, bbox=[1, 2])]),
     'Annotation 5 of a.json'),
    (dict(annotations=[dict(ANNOTATIONS[0], bbox=[1, 2, float('nan'), 4])]), 'bbox'),
    (dict(annotations=[dict(ANNOTATIONS[0], bbox=['1', '2', 'x', '4'])]), 'bbox'),
    (dict(annotations=[dict(ANNOTATIONS[0], image_id=3)]), "'image_id' 3, which"),
    (dict(annotations=[dict(ANNOTATIONS[0], category_id=3)]), "'category_id' 3, which"),
    (dict(annotations=[dict(image_id=7, category_id=9)]), "no 'bbox'"),
    (dict(images=[*IMAGES, dict(id=1, width=0, height=4)]), 'Image 1 of a.json has 0 x 4'),
    (dict(images=[dict(id=1, width=4)]), "no 'height'"),
    (dict(categories=[]), "'categories' is empty")])
def test_a_faulty_file_is_refused_with_the_record(classes, changes, message):
    with pytest.raises(ValueError, match=message):
        ObjectTable.from_annotations(content(**changes), classes, 'a.json')
