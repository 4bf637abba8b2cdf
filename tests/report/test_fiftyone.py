import json
from dataclasses import replace

import bacl  # noqa: F401
import numpy as np
import pytest
from bacl.annotations import ClassTable
from bacl.annotations.class_table import LVIS_GROUPS
from bacl.evaluation import Detections
from bacl.report.fiftyone import field_names, write_fiftyone
from bacl.report.page import Validation
from bacl.report.results import match_coco_lt, match_lvis

ANNOTATIONS = dict(
    images=[dict(id=5, width=100, height=50, neg_category_ids=[8, 99],
                 not_exhaustive_category_ids=[2]),
            dict(id=3, width=40, height=40, neg_category_ids=[], not_exhaustive_category_ids=[])],
    categories=[dict(id=8, name='yoke', frequency='r', image_count=1, instance_count=1),
                dict(id=2, name='猫', frequency='f', image_count=2, instance_count=2)],
    annotations=[dict(id=1, image_id=5, category_id=2, bbox=[10, 10, 20, 20], area=0),  # no area
                 dict(id=2, image_id=5, category_id=2, bbox=[50, 10, 20, 20], area=400, iscrowd=0),
                 dict(id=3, image_id=3, category_id=8, bbox=[0, 0, 10, 40], area=400)])
# Image, category, score, box.
FOUND = [(3, 8, 0.3, (0, 0, 10, 40)), (5, 2, 0.9, (50, 10, 20, 20)), (5, 2, 0.8, (0, 0, 9, 9)),
         (5, 8, 0.7, (0, 0, 9, 9)), (3, 2, 0.6, (0, 0, 9, 9)), (3, 8, 0.01, (5, 5, 9, 9))]
CLASSES = ClassTable(('yoke', '猫'), np.array([1, 2]), np.array([1, 2]), 2, LVIS_GROUPS,
                     np.array([0, 2]))


def detections():
    box = np.array([box for *_, box in FOUND], dtype=float)
    return Detections(*(np.array([f[i] for f in FOUND]) for i in (0, 1, 2)),
                      box[:, 2] * box[:, 3], box)


@pytest.fixture
def validation():
    return Validation(ANNOTATIONS, 'val.json', CLASSES, lambda image: f'img/{image["id"]}.jpg',
                      'LVIS', 300)


@pytest.fixture
def exported(tmp_path, validation):
    """A function that exports a run and returns metadata and samples, by image id."""

    def export(names=('a run',), **kwargs):
        found = detections()
        runs = {name: (found, match_lvis(ANNOTATIONS, found)) for name in names}
        folder = write_fiftyone(tmp_path / 'x', validation, runs, **kwargs)
        assert sorted(path.name for path in folder.iterdir()) == ['metadata.json', 'samples.json']
        samples = json.loads((folder / 'samples.json').read_text())['samples']
        return (json.loads((folder / 'metadata.json').read_text()),
                {sample['image_id']: sample for sample in samples})

    return export


def test_boxes_are_relative_and_names_those_of_the_classes(exported):
    metadata, samples = exported()
    assert list(samples) == [5, 3]
    truth, = samples[5]['ground_truth']['detections']
    assert truth == {'_cls': 'Detection', 'label': '猫', 'tags': [], 'frequency': 'frequent',
                     'bounding_box': [0.5, 0.2, 0.2, 0.4], 'found_by': ['a_run'], 'iscrowd': False}
    assert samples[3]['a_run']['_cls'] == 'Detections'
    assert samples[3]['metadata'] == {'_cls': 'ImageMetadata', 'width': 40, 'height': 40}
    assert samples[5]['filepath'].startswith('/') and samples[5]['filepath'].endswith('img/5.jpg')
    assert samples[5]['known_absent'] == ['yoke']
    # Without a version FiftyOne reads it whatever its own.
    assert 'version' not in metadata and metadata['info']['runs'] == {'a_run': 'a run'}
    assert metadata['info']['classes']['a_run'] == ['猫', 'yoke']


def test_detections_say_what_the_evaluation_makes_of_them(exported):
    _, samples = exported()

    def told(image_id):
        return [(d['label'], d['confidence'], d['eval'])
                for d in samples[image_id]['a_run']['detections']]

    # More of 猫 may be in image 5 than is annotated; of image 3 nobody knows.
    assert told(5) == [('猫', 0.9, 'tp'), ('猫', 0.8, 'ignored'), ('yoke', 0.7, 'fp')]
    assert told(3) == [('猫', 0.6, 'unlabelled'), ('yoke', 0.3, 'tp')]


def test_low_scores_and_those_above_the_number_are_left_out(exported):
    _, samples = exported(score_thr=0.5, max_dets=1)
    assert [d['confidence'] for d in samples[5]['a_run']['detections']] == [0.9]
    assert [d['confidence'] for d in samples[3]['a_run']['detections']] == [0.6]
    truth, = samples[3]['ground_truth']['detections']
    assert truth['found_by'] == [], 'the detection that found it is not here'
    _, samples = exported(score_thr=0)
    assert len(samples[3]['a_run']['detections']) == 3


def test_every_run_has_a_field_of_its_own(exported):
    _, samples = exported(names=('lr=0.1', 'lr=0,1', 'tags', '2nd', 'x_2', '猫'))
    fields = ['lr_0_1', 'lr_0_2', 'run_tags', 'run_2nd', 'x_2', 'run']
    assert list(samples[3])[6:] == fields
    truth, = samples[3]['ground_truth']['detections']
    assert truth['found_by'] == fields
    assert field_names(['a', 'a_', 'a_2']) == {'a': 'a', 'a_': 'a_2', 'a_2': 'a_3'}


def test_coco_has_no_absent_classes_and_objects_without_area(tmp_path, validation):
    data = dict(ANNOTATIONS, images=[
        {k: v for k, v in image.items() if 'category' not in k} for image in ANNOTATIONS['images']])
    matches = match_coco_lt(data, detections(), ['r', 'f'], 'rf')
    folder = write_fiftyone(tmp_path, replace(validation, annotations=data, benchmark='COCO-LT'),
                            {'a': (detections(), matches)})
    first, second = json.loads((folder / 'samples.json').read_text())['samples']
    assert 'known_absent' not in first
    assert [d['found_by'] for d in first['ground_truth']['detections']] == [[], ['a']]
    assert [d['eval'] for d in second['a']['detections']] == ['fp', 'tp']


def test_arguments_out_of_range_are_refused(exported):
    for wrong in (dict(score_thr=1.5), dict(max_dets=0)):
        with pytest.raises(ValueError, match='expects'):
            exported(**wrong)
