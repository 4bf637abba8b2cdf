"""Faulty annotation and result files, through all that reads them: what one accepts all accept."""
import copy
import json
import math

import bacl  # noqa: F401
import pytest
import torch
from bacl.datasets import CocoLTDataset, LongTailLVISV1Dataset
from bacl.datasets.coco_lt import build_coco_lt
from bacl.engine.checking.data_check import check_data
from bacl.evaluation import CocoLTMetric, FastLVISMetric, evaluate_lvis
from bacl.report.run_files import RunFiles, read_images, read_training_images
from mmengine.config import Config

POLYGON = [10, 10, 30, 10, 30, 30]
WITH_MASKS = [dict(type='LoadAnnotations', with_bbox=True, with_mask=True)]
FORMATS = {'COCO': (CocoLTDataset, CocoLTMetric), 'LVIS': (LongTailLVISV1Dataset, FastLVISMetric)}

CONTENT = {
    'images': [dict(id=i, width=60, height=40, file_name=f'{i}.jpg',
                    coco_url=f'http://images.cocodataset.org/train2017/{i}.jpg',
                    neg_category_ids=[], not_exhaustive_category_ids=[]) for i in (1, 2)],
    'categories': [dict(id=i, name=f'thing {i}', frequency='r') for i in (1, 2)],
    'annotations': [dict(id=i, image_id=i % 2 + 1, category_id=i % 2 + 1, iscrowd=0, area=400,
                         bbox=[10, 10 + i, 20, 20], segmentation=[POLYGON])
                    for i in range(1, 7)]}
DETECTIONS = [dict(image_id=1, category_id=1, bbox=[10, 10, 20, 20], score=0.5),
              dict(image_id=2, category_id=2, bbox=[10, 10, 20, 20], score=0.5)]


def field(section, **fields):
    return lambda data: data[section][1].update(fields)


def without(section, name):
    return lambda data: data[section][1].pop(name)


def each(**fields):
    return lambda data: [annotation.update(fields) for annotation in data['annotations']]


BOTH = ('COCO', 'LVIS')
# Name -> (formats, change of the content, what the message names besides the file).
REFUSED = {
    **{f'{name} of {section}': (BOTH, field(section, **{name: value}), named)
       for section, name, value, named in [
           ('annotations', 'bbox', [1, 2, 3, 4, 0.9], 'annotation 2.*bbox'),
           ('annotations', 'bbox', [1, 2, 3, 4, 5, 6, 7, 8], 'annotation 2.*bbox'),
           ('annotations', 'area', math.nan, 'annotation 2.*area'),
           ('annotations', 'id', 1.7, 'annotation 1.7'),
           ('images', 'width', 60.5, 'image 2.*60.5'),
           ('images', 'height', '40', "image 2.*'40'")]},
    **{f'bbox {value}': (BOTH, field('annotations', bbox=value), 'annotation 2.*bbox')
       for value in ([1, 2, 3], [], None, ['1', 2, 3, 4], [1, 2, 3, True], [1, 2, 3, math.inf],
                     'abcd', {}, [[1, 2, 3, 4]])},
    **{f'area {value!r}': (BOTH, field('annotations', area=value), 'annotation 2.*area')
       for value in ('9', None, math.inf, True, [9])},
    **{f'{name} {value!r}': (BOTH, field('annotations', **{name: value}), 'annotation 2')
       for name in ('image_id', 'category_id') for value in (1.7, 2.0, '2', True, None, 99, 2**64)},
    **{f'{flag} {value!r}': (BOTH, field('annotations', **{flag: value}), f'annotation 2.*{flag}')
       for flag in ('iscrowd', 'ignore') for value in ('0', 2, None, 0.5)},
    **{f'{section} id {value!r}': (BOTH, field(section, id=value), section[:5])
       for section in ('images', 'categories', 'annotations')
       for value in (1.7, 2.0, '2', True, None, 1)},
    **{f'{side} {value!r}': (BOTH, field('images', **{side: value}), 'image 2')
       for side in ('width', 'height') for value in (0, -3, 60.0, None, True, math.nan)},
    **{f'no {name} of {section}': (BOTH, without(section, name), f'{section}.*{name}')
       for section, names in [('annotations', ('id', 'image_id', 'category_id', 'bbox', 'area')),
                              ('images', ('id', 'width', 'height')), ('categories', ('id', ))]
       for name in names},
    **{f'frequency {value!r}': (('LVIS', ), field('categories', frequency=value), 'category 2')
       for value in ('x', None, ['r'], 1)},
    **{f'name {value!r}': (BOTH, field('categories', name=value), 'category')
       for value in ('thing 1', '', None, 5)},
    **{f'neg_category_ids {value!r}': (('LVIS', ), field('images', neg_category_ids=value),
                                       'image 2.*neg_category_ids')
       for value in (None, 3, [1.7], ['1'], [[1]])},
    'no annotations': (BOTH, lambda data: data['annotations'].clear(), 'annotation'),
    'crowds only': (('COCO', ), each(iscrowd=1), '6 annotations'),
    'ignored only': (('LVIS', ), each(ignore=1), '6 annotations'),
}
# Of masks: used in training, or evaluated.
BAD_MASKS = {
    'empty': [], 'flat': POLYGON, 'points': [[10, 10], [30, 10], [30, 30]],
    'corners': [[10, 10, 30, 30]], 'odd': [POLYGON + [1]], 'one of two': [POLYGON, [1, 2, 3, 4]],
    'nan': [POLYGON + [math.nan, 1]], 'text': [['1'] * 6], 'bool': [[True] * 6], 'null': None,
    'string': 'mask', 'box': {'x': 1}, 'other size': dict(size=[60, 40], counts=[0, 2400]),
    'too short': dict(size=[40, 60], counts=[5, 9]), 'negative': dict(size=[40, 60],
                                                                      counts=[2401, -1]),
    'float counts': dict(size=[40, 60], counts=[5.0, 2395.0]),
    'compressed, other size': dict(size=[41, 60], counts='Pk2'),
    'compressed, too long': dict(size=[40, 60], counts='Pk22P'),
    'compressed, no text of counts': dict(size=[40, 60], counts='é!'),
    'size as text': dict(size='40x60', counts=[2400])}
GOOD_MASKS = {
    'polygons': [POLYGON, [1.5, 1, 9, 1, 9, 9, 1, 9]],
    'run lengths': dict(size=[40, 60], counts=[5, 10, 2385]),
    'compressed': dict(size=[40, 60], counts='0P[2')}
# What nobody refuses.
ACCEPTED = {
    'as it is': lambda data: None, 'id 0': field('annotations', id=0),
    'no iscrowd': without('annotations', 'iscrowd'), 'true': field('annotations', ignore=False),
    'a crowd': field('annotations', iscrowd=1), 'area 0': field('annotations', area=0),
    'small': field('annotations', bbox=[5, 5, 0.5, 0.5]),
    'outside': field('annotations', bbox=[99, 5, 5, 5]), 'float area': field(
        'annotations', area=399.5),
    'same picture twice': field('images', file_name='1.jpg', coco_url='1.jpg'),
    'same box twice': lambda data: data['annotations'].append({**data['annotations'][0], 'id': 50}),
}


class Readers:
    """Everything that reads annotations, on one file."""

    def __init__(self, path, format_name, masks=False):
        self.path, self.format_name, self.masks = path, format_name, masks
        self.metric_type = ['bbox', 'segm'] if masks else 'bbox'

    def dataset(self, **kwargs):
        return FORMATS[self.format_name][0](
            ann_file=str(self.path), data_prefix=dict(img=''),
            pipeline=WITH_MASKS if self.masks else [],
            serialize_data=False, **kwargs)  # else a collection of all garbage for each

    def metric(self):
        extra = dict(train_ann_file=str(self.path)) if self.format_name == 'COCO' else {}
        return FORMATS[self.format_name][1](ann_file=str(self.path), metric=self.metric_type,
                                            **extra)

    def evaluate(self):
        if self.format_name == 'LVIS':
            return evaluate_lvis(self.path, [], 'segm' if self.masks else 'bbox')
        return self.metric()

    def check(self):
        """Refuse as the check does; the split that is refused does not matter."""
        dataset = dict(type=FORMATS[self.format_name][0].__name__, ann_file=str(self.path),
                       data_prefix=dict(img=''), pipeline=WITH_MASKS if self.masks else [])
        evaluator = dict(type=FORMATS[self.format_name][1].__name__, ann_file=str(self.path),
                         metric=self.metric_type)
        if self.format_name == 'COCO':
            evaluator['train_ann_file'] = str(self.path)
        reports = check_data(Config(dict(
            train_dataloader=dict(dataset=dataset), val_evaluator=evaluator,
            val_dataloader=dict(dataset=dict(dataset, test_mode=True, pipeline=[])))), False)
        refused = [report for report in reports if report.is_refused]
        assert len(refused) in (0, 2)  # training and validation
        if refused:
            raise ValueError('\n'.join(map(str, refused)))
        return reports

    def all(self):
        return [self.check, self.dataset, self.metric, self.evaluate]


def write(path, change=lambda data: None, **kwargs):
    data = copy.deepcopy(CONTENT)
    change(data)
    path.write_text(json.dumps(data), **kwargs)
    return path


@pytest.mark.parametrize('format_name, name', [
    (format_name, name) for name, (formats, *_) in REFUSED.items() for format_name in formats])
def test_what_one_refuses_all_refuse_by_file_and_record(tmp_path, format_name, name):
    _, change, named = REFUSED[name]
    readers = Readers(write(tmp_path / 'faulty.json', change), format_name)
    for read in readers.all():
        # evaluate_lvis takes categories without names as lvis-api does, but not bad ones.
        with pytest.raises(ValueError, match=rf'(?s)faulty\.json.*{named}'):
            read()


# Not about annotations that training or evaluation lacks: a report shows what there is.
@pytest.mark.parametrize('name', [
    'bbox of annotations', 'bbox []', "area '9'", 'image_id 99', 'category_id True', 'ignore 2',
    "images id '2'", 'width 0', 'no area of annotations', "frequency 'x'", 'name None'])
def test_the_report_refuses_likewise(tmp_path, name):
    _, change, named = REFUSED[name]
    with pytest.raises(ValueError, match=rf'(?s)faulty\.json.*{named}'):
        read_images(str(write(tmp_path / 'faulty.json', change)), '')


@pytest.mark.parametrize('name', ['image_id', 'category_id'])
def test_an_id_that_is_a_list_is_refused_by_the_report_of_a_run(tmp_path, name):
    path = write(tmp_path / 'faulty.json', field('annotations', **{name: [1]}))
    (tmp_path / 'c.py').write_text(
        f"train_dataloader = dict(dataset=dict(type='CocoLTDataset', ann_file='{path}', "
        "data_prefix=dict(img='')))")
    run = RunFiles('a', tmp_path, tmp_path / 'c.py', tmp_path / 'p.pkl', {}, None)
    with pytest.raises(ValueError, match=r'(?s)faulty\.json.*annotation 2'):
        read_training_images(run)


@pytest.mark.parametrize('format_name', BOTH)
@pytest.mark.parametrize('name', BAD_MASKS)
def test_bad_mask_is_refused_wherever_masks_are_used_and_nowhere_else(tmp_path, format_name, name):
    path = write(tmp_path / 'faulty.json', field('annotations', segmentation=BAD_MASKS[name]))
    for read in Readers(path, format_name, masks=True).all():
        with pytest.raises(ValueError, match=r'(?s)faulty\.json.*bad-mask, 1: .*annotation 2 of'):
            read()
    for read in Readers(path, format_name).all():
        read()


@pytest.mark.parametrize('format_name', BOTH)
@pytest.mark.parametrize('name', GOOD_MASKS)
def test_good_mask_is_accepted_by_all(tmp_path, format_name, name):
    path = write(tmp_path / 'fine.json', field('annotations', segmentation=GOOD_MASKS[name]))
    for read in Readers(path, format_name, masks=True).all():
        read()


@pytest.mark.parametrize('format_name', BOTH)
@pytest.mark.parametrize('name', ACCEPTED)
def test_what_one_accepts_all_accept(tmp_path, format_name, name):
    for read in Readers(write(tmp_path / 'fine.json', ACCEPTED[name]), format_name).all():
        read()


@pytest.mark.parametrize('format_name', BOTH)
@pytest.mark.parametrize('encoding, refused', [
    ('utf-8-sig', False), ('utf-8', False), ('utf-16', True), ('utf-16-le', True),
    ('utf-32', True)])
def test_encodings_are_the_same_for_all(tmp_path, format_name, encoding, refused):
    path = write(tmp_path / 'train.json', encoding=encoding)
    results = write_results(tmp_path / 'results.json', encoding=encoding)
    for read in [*Readers(path, format_name).all(),
                 lambda: evaluate_lvis(write(tmp_path / 'fine.json'), results),
                 lambda: build_coco_lt(path, tmp_path / 'new.json', 'C', max_count=2, min_count=1)]:
        if refused:
            with pytest.raises(ValueError, match=r'(train|results)\.json.*UTF-8'):
                read()
        else:
            read()


@pytest.mark.parametrize('content', ['', '{"images": [', 'no', '[]', '3', '{"images": 3}', '"é"'])
@pytest.mark.parametrize('format_name', BOTH)
def test_file_of_another_form_is_refused_by_all(tmp_path, format_name, content):
    path = tmp_path / 'faulty.json'
    path.write_text(content, encoding='latin-1')
    for read in Readers(path, format_name).all():
        with pytest.raises(ValueError, match=r'faulty\.json'):
            read()


def test_validation_without_federated_labels_is_refused_by_the_check_as_by_the_metric(tmp_path):
    def remove(data):
        del data['images'][1]['neg_category_ids']

    path = write(tmp_path / 'faulty.json', remove)
    readers = Readers(path, 'LVIS')
    assert len(readers.dataset()) == 2  # training needs none
    dataset = dict(type='LongTailLVISV1Dataset', ann_file=str(path), data_prefix=dict(img=''),
                   test_mode=True)
    (report, ) = check_data(Config(dict(val_dataloader=dict(dataset=dataset))), False)
    for error in (str(report), str(pytest.raises(ValueError, readers.metric).value)):
        assert "id 2 of its 'images' has no 'neg_category_ids'" in error and str(path) in error


def test_check_refuses_what_only_the_metric_would(tmp_path):
    fine = write(tmp_path / 'fine.json')
    other = write(tmp_path / 'other.json', field('categories', name='another'))
    dataset = dict(type='CocoLTDataset', ann_file=str(fine), data_prefix=dict(img=''))
    evaluator = dict(type='CocoLTMetric', ann_file=str(fine), train_ann_file=str(other))
    *datasets, metric = check_data(Config(dict(
        train_dataloader=dict(dataset=dataset), val_evaluator=evaluator, test_evaluator=evaluator,
        val_dataloader=dict(dataset=dict(dataset, test_mode=True)))), False)
    assert not any(report.is_refused for report in datasets)
    assert metric.is_refused and metric.splits == ['val', 'test'] and 'other.json' in str(metric)


@pytest.mark.parametrize('with_list', [False, True])
def test_file_without_annotations_can_be_predicted_on(tmp_path, with_list):
    path = write(tmp_path / 'test.json', lambda data: data.update(annotations=[])
                 if with_list else data.pop('annotations'))
    for format_name in BOTH:
        assert len(Readers(path, format_name).dataset(test_mode=True)) == 2
        for read in (Readers(path, format_name).dataset, Readers(path, format_name).metric):
            with pytest.raises(ValueError, match=r'test\.json'):
                read()


@pytest.mark.parametrize('url, path', [
    ('http://images.cocodataset.org/val2017/1.jpg', 'root/val2017/1.jpg'),
    ('https://images.cocodataset.org/val2017/1.jpg', 'root/val2017/1.jpg'),
    ('https://images.example.org:80/val2017/1.jpg?x=1', 'root/val2017/1.jpg'),
    ('s3://bucket/a/b/1.jpg', 'root/a/b/1.jpg'), ('val2017/1.jpg', 'root/val2017/1.jpg')])
def test_coco_url_of_any_host_is_a_path_below_the_folder_of_images(tmp_path, url, path):
    dataset = LongTailLVISV1Dataset(
        ann_file=str(write(tmp_path / 'a.json', field('images', coco_url=url))),
        data_prefix=dict(img='root'))
    assert dataset.get_data_info(1)['img_path'] == path


# Detections.

BAD_DETECTIONS = {
    **{f'bbox {value}': (dict(bbox=value), 'bbox') for value in (
        [1, 2, 3, 4, 0.9], [1, 2, 3], [], None, [1, 2, 3, math.nan], ['1', '2', '3', '4'],
        [1, 2, 3, True], [[1, 2, 3, 4]], 'abcd', [1] * 8)},
    **{f'score {value!r}': (dict(score=value), 'score') for value in (
        math.nan, -math.inf, '0.5', None, True, [0.5])},
    **{f'{name} {value!r}': ({name: value}, name) for name in ('image_id', 'category_id')
       for value in (1.7, 2.0, '2', True, None, 99, [2])}}


def write_results(path, change=lambda records: None, **kwargs):
    records = copy.deepcopy(DETECTIONS)
    change(records)
    path.write_text(json.dumps(records), **kwargs)
    return path


@pytest.mark.parametrize('name', BAD_DETECTIONS)
def test_bad_detection_is_refused_with_file_record_and_field(tmp_path, name):
    fields, field_name = BAD_DETECTIONS[name]
    path = write(tmp_path / 'lvis.json')
    results = write_results(tmp_path / 'results.json', lambda r: r[1].update(fields))
    with pytest.raises(ValueError, match=rf'(?s)results\.json.*{field_name}.*'):
        evaluate_lvis(path, results)
    with pytest.raises(ValueError, match=rf'number 1.*{field_name}|{field_name}.*number 1'):
        evaluate_lvis(path, json.loads(results.read_text()))


@pytest.mark.parametrize('name', ['image_id', 'category_id', 'bbox', 'score'])
def test_detection_without_a_field_is_refused(tmp_path, name):
    results = write_results(tmp_path / 'results.json', lambda r: r[1].pop(name))
    with pytest.raises(ValueError, match=rf"results\.json: number 1 .* no '{name}'"):
        evaluate_lvis(write(tmp_path / 'lvis.json'), results)


@pytest.mark.parametrize('name', [name for name in BAD_MASKS if name != 'compressed, other size'])
def test_bad_mask_of_a_detection_is_refused(tmp_path, name):
    change = field('annotations', segmentation=[POLYGON])
    results = write_results(tmp_path / 'results.json',
                            lambda r: [d.update(segmentation=GOOD_MASKS['compressed']) for d in r]
                            and r[1].update(segmentation=BAD_MASKS[name]))
    with pytest.raises(ValueError, match=r"results\.json: .*number 1 .*'segmentation'"):
        evaluate_lvis(write(tmp_path / 'lvis.json', change), results, 'segm')


def test_mask_of_a_detection_has_the_size_of_its_image(tmp_path):
    def turn(records):
        for record in records:
            record['segmentation'] = GOOD_MASKS['compressed']
        records[1]['segmentation'] = dict(size=[60, 40], counts='0P[2')

    results = write_results(tmp_path / 'results.json', turn)
    with pytest.raises(ValueError, match=r"results\.json: the 'segmentation' of number 1 .*60, 40"):
        evaluate_lvis(write(tmp_path / 'lvis.json'), results, 'segm')


BAD_PREDICTIONS = [
    (dict(bboxes=torch.zeros(1, 5)), 'bboxes'), (dict(bboxes=torch.zeros(2, 4)), 'bboxes'),
    (dict(bboxes=torch.full((1, 4), math.nan)), 'bboxes'), (dict(scores=torch.zeros(2)), 'scores'),
    (dict(scores=torch.tensor([math.nan])), 'scores'), (dict(scores=None), 'scores'),
    (dict(labels=torch.tensor([0.7])), 'labels'), (dict(labels=torch.tensor([2])), '2')]
GOOD_PREDICTION = dict(bboxes=torch.ones(1, 4), scores=torch.ones(1), labels=torch.tensor([0]))


def with_fields(fields):
    """A prediction with other fields, or without those that are None."""
    return {name: value for name, value in {**GOOD_PREDICTION, **fields}.items()
            if value is not None}


@pytest.mark.parametrize('format_name', BOTH)
@pytest.mark.parametrize('fields, named', BAD_PREDICTIONS)
def test_bad_prediction_is_refused_with_its_image(tmp_path, format_name, fields, named):
    metric = Readers(write(tmp_path / 'fine.json'), format_name).metric()
    metric.process({}, [dict(img_id=1, pred_instances=GOOD_PREDICTION)])
    with pytest.raises(ValueError, match=rf'{named} .*image 2'):
        metric.process({}, [dict(img_id=2, pred_instances=with_fields(fields))])


@pytest.mark.parametrize('format_name', BOTH)
@pytest.mark.parametrize('image_id', [1.7, '1', True, None, [1]])
def test_prediction_of_an_image_without_a_whole_number_is_refused(tmp_path, format_name, image_id):
    metric = Readers(write(tmp_path / 'fine.json'), format_name).metric()
    with pytest.raises(ValueError, match='img_id'):
        metric.process({}, [dict(img_id=image_id, pred_instances=GOOD_PREDICTION)])


@pytest.mark.parametrize('format_name', BOTH)
@pytest.mark.parametrize('masks', [
    [], [GOOD_MASKS['compressed']] * 2, torch.zeros(2, 40, 60).bool(), [[POLYGON]], [None],
    [dict(size=[40, 60], counts='Pk22P')], [dict(size=[40, 60.5], counts='0P[2')],
    [dict(size=[40, 60], counts=[2400])]])
def test_bad_mask_of_a_prediction_is_refused_with_its_image(tmp_path, format_name, masks):
    metric = Readers(write(tmp_path / 'fine.json'), format_name, masks=True).metric()
    good = dict(GOOD_PREDICTION, masks=[GOOD_MASKS['compressed']])
    metric.process({}, [dict(img_id=1, pred_instances=good)])
    with pytest.raises(ValueError, match='masks of image 2'):
        metric.process({}, [dict(img_id=2, pred_instances=dict(good, masks=masks))])
