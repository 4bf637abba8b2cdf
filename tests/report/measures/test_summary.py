import bacl  # noqa: F401
import numpy as np
import pytest
from bacl.report.measures.box_geometry import Pyramid
from bacl.report.measures.summary import imbalance_summary
from bacl.report.objects import ObjectTable


def table(classes, label=(0, 1, 1, 1), image=(0, 0, 0, 2)):
    label, image = np.array(label, dtype=np.int64), np.array(image, dtype=np.int64)
    box = np.array([[10, 10, 100, 100.], [40, 40, 10, 40], [0, 0, 30, 30], [45, 45, 10, 10]])
    return ObjectTable(
        classes=classes, image_ids=np.array([5, 6, 7]), image_sizes=np.full((3, 2), 100),
        image=image, label=label, box=box[:len(label)])


def test_values_of_a_hand_made_dataset(lvis_classes):
    frame = imbalance_summary(table(lvis_classes('rfr')), Pyramid((200, 200), (4, 8)))
    assert frame.columns.tolist() == ['problem', 'measure', 'value', 'meaning']
    value = frame.set_index('measure')['value']
    expected = {
        'images': 3, 'objects': 4, 'classes': 3, 'classes without objects': 1,
        'largest class (objects)': 3, 'imbalance ratio': 3, 'Gini coefficient, objects': 0.5,
        'Wasserstein distance to uniform': 0.25, 'misplaced objects': 0.75 - 1 / 3,
        'classes, rare': 2, 'share of objects, rare': 0.25, 'share of objects, frequent': 0.75,
        # Twice as large: sides 200, 40, 60, 20.
        'median box side (px)': 50, 'share of long boxes': 0.25,
        'share of objects on stride 4': 0.75, 'share of objects on stride 8': 0.25,
        # Centres (.6, .6), (.45, .6), (.15, .15), (.5, .5).
        'share of centres in the middle ninth': 0.75,
        'objects per image': 4 / 3, 'most objects in an image': 3, 'classes per image': 1,
        'images without objects': 1 / 3}
    assert value[list(expected)].to_dict() == pytest.approx(expected)
    assert 'classes, common' not in value
    assert set(frame['problem']) == {'class (dataset)', 'box scale', 'feature level',
                                     'object location', 'class (batch)'}


@pytest.mark.filterwarnings('error')
def test_a_dataset_without_objects_has_no_measures(lvis_classes):
    value = imbalance_summary(table(lvis_classes('rfr'), (), ())).set_index('measure')['value']
    assert value['objects'] == 0 and value['classes without objects'] == 3
    for name in ('Gini coefficient, objects', 'imbalance ratio', 'median box side (px)',
                 'share of centres in the middle ninth', 'share of objects on stride 4'):
        assert np.isnan(value[name])
