import json

import bacl  # noqa: F401
import pytest
from bacl.annotations.coco import read_coco_annotations
from bacl.engine.prediction.coco_file import CocoFile
from bacl.evaluation import Detections

CATEGORIES = [dict(id=7, name='猫'), dict(id=3, name='b')]


def test_the_file_is_coco_and_its_annotations_are_results(tmp_path):
    with CocoFile(tmp_path / 'a.json', CATEGORIES) as file:
        file.add('x/1.jpg', 30, 20, [dict(category_id=7, bbox=[1.5, 2, 4, 5], score=0.5),
                                     dict(category_id=3, bbox=[0, 0, 1, 1], score=0.25)])
        file.add('2.jpg', 9, 8, [])
        file.add('3.jpg', 9, 8, [dict(category_id=7, bbox=[0, 0, 1, 1], score=1.)])
        assert not (tmp_path / 'a.json').exists()
    assert file.num_objects == 3
    data = read_coco_annotations(tmp_path / 'a.json', ('width', 'height', 'file_name'),
                                 ('id', 'bbox', 'area', 'score'))
    assert data['categories'] == CATEGORIES
    assert [image['file_name'] for image in data['images']] == ['x/1.jpg', '2.jpg', '3.jpg']
    assert data['annotations'][0] == dict(id=1, image_id=1, category_id=7, bbox=[1.5, 2, 4, 5],
                                          score=0.5, area=20., iscrowd=0)
    found = Detections.from_records(data['annotations'])
    assert found.image_id.tolist() == [1, 1, 3] and found.score.tolist() == [0.5, 0.25, 1]


def test_without_objects_it_is_still_coco(tmp_path):
    with CocoFile(tmp_path / 'a.json', CATEGORIES):
        pass
    assert json.loads((tmp_path / 'a.json').read_text()) == dict(
        categories=CATEGORIES, annotations=[], images=[])


def test_an_error_leaves_what_was_there_before(tmp_path):
    (tmp_path / 'a.json').write_text('before')
    with pytest.raises(ZeroDivisionError), CocoFile(tmp_path / 'a.json', CATEGORIES) as file:
        file.add('1.jpg', 1, 1, [])
        1 / 0  # noqa: B018
    assert [path.name for path in tmp_path.iterdir()] == ['a.json']
    assert (tmp_path / 'a.json').read_text() == 'before'
