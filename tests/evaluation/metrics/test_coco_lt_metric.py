import copy
import json
import logging
import math

import bacl  # noqa: F401
import numpy as np
import pytest
import torch
from mmdet.registry import METRICS
from mmdet.structures import DetDataSample
from mmengine.evaluator import Evaluator
from mmengine.logging import MMLogger
from mmengine.structures import InstanceData

# Training instances of the 7 categories, in the order of the file; both sides of every border.
TRAIN_INSTANCES = [19, 20, 399, 400, 7999, 8000, 3]
GROUPS = np.array([1, 2, 2, 3, 3, 4, 1])


@pytest.fixture
def data_set(make_coco, write_json):
    """Paths of validation and training annotations, the former's content and result dicts."""
    data, records = make_coco(0)
    for record in records:
        # What a detector gives: corners in float32. Result dicts hold what follows from them.
        x, y, w, h = record['bbox']
        record['corners'] = np.array([x, y, x + w, y + h], dtype=np.float32)
        x1, y1, x2, y2 = record['corners'].tolist()
        record['bbox'] = [x1, y1, x2 - x1, y2 - y1]
        record['score'] = float(np.float32(record['score']))
    return write_json(data, 'val.json'), write_json(train_of(data), 'train.json'), data, records


def train_of(data):
    """Training annotations of the same categories, as many as :data:`TRAIN_INSTANCES` says."""
    annotations = [{'image_id': 1, 'category_id': category['id']}
                   for category, count in zip(data['categories'], TRAIN_INSTANCES, strict=True)
                   for _ in range(count)]
    return {'images': [{'id': 1}], 'annotations': annotations, 'categories': data['categories']}


def to_samples(data, records):
    category_ids = [category['id'] for category in data['categories']]
    for image in data['images']:
        found = [record for record in records if record['image_id'] == image['id']]
        sample = DetDataSample(metainfo={'img_id': image['id'], 'ori_shape': (160, 160)})
        sample.pred_instances = InstanceData(
            bboxes=torch.tensor(np.array([r['corners'] for r in found]).reshape(-1, 4)),
            scores=torch.tensor([r['score'] for r in found]),
            labels=torch.tensor([category_ids.index(r['category_id']) for r in found],
                                dtype=torch.int64),
            masks=[r['segmentation'] for r in found])
        yield sample


def run(data_set, **kwargs):
    path, train_path, data, records = data_set
    evaluator = Evaluator(METRICS.build(dict(
        **{'type': 'CocoLTMetric', 'ann_file': str(path), 'train_ann_file': str(train_path),
           **kwargs})))
    samples = list(to_samples(data, records))
    evaluator.process(samples)
    return evaluator.evaluate(len(samples))


def expected_summary(precision, data):
    """All reported numbers, by their definition, from (10, 101, C, 4) by rising category id."""
    label = {category['id']: i for i, category in enumerate(data['categories'])}
    groups = GROUPS[[label[category_id] for category_id in sorted(label)]]

    def mean(part):
        return float(np.nanmean(part)) if (~np.isnan(part)).any() else math.nan

    return {
        'AP': mean(precision[..., 0]), 'AP50': mean(precision[0, ..., 0]),
        'AP75': mean(precision[5, ..., 0]), 'APs': mean(precision[..., 1]),
        'APm': mean(precision[..., 2]), 'APl': mean(precision[..., 3]),
        **{f'AP{group}': mean(precision[:, :, groups == group, 0]) for group in (1, 2, 3, 4)},
    }


def captured_log(caplog, function):
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    try:
        with caplog.at_level(logging.INFO):
            function()
    finally:
        logger.removeHandler(caplog.handler)
    return caplog.text


@pytest.mark.parametrize('max_dets', [3, 100])
def test_reports_what_pycocotools_computes(data_set, evaluate_by_pycocotools, max_dets):
    _, _, data, records = data_set
    result = run(data_set, metric=['bbox', 'segm'], max_dets=max_dets)
    records = [{k: v for k, v in record.items() if k != 'corners'} for record in records]
    expected = {}
    for iou_type in ('bbox', 'segm'):
        precision = evaluate_by_pycocotools(data, records, iou_type, max_dets)
        expected.update({f'coco_lt/{iou_type}_{name}': value
                         for name, value in expected_summary(precision, data).items()})
    assert list(result) == list(expected)
    assert result == pytest.approx(expected, abs=1e-9, nan_ok=True)


def test_ap_is_the_mean_of_the_groups_weighted_by_their_categories(data_set, caplog):
    _, _, data, _ = data_set
    result = {}
    text = captured_log(caplog, lambda: result.update(run(data_set)))
    annotated = {a['category_id'] for a in data['annotations'] if not a['iscrowd']}
    assert annotated == {category['id'] for category in data['categories']}
    weighted = np.mean([result[f'coco_lt/bbox_AP{group}'] for group in GROUPS])
    assert result['coco_lt/bbox_AP'] == pytest.approx(weighted, abs=1e-12)
    assert f'mean of AP1, AP2, AP3, AP4 over their 2 + 2 + 2 + 1 categories: {weighted:.4f}' in text


def test_groups_follow_the_number_of_training_annotations(data_set):
    metric = METRICS.build(dict(type='CocoLTMetric', ann_file=str(data_set[0]),
                                train_ann_file=str(data_set[1]), group_thresholds=(20, 8000)))
    assert metric.class_table.group_keys().tolist() == ['1', '2', '2', '2', '2', '3', '1']
    assert [group.label for group in metric.class_table.groups] == [
        'below 20', '20 to 7,999', '8,000 or more']


def test_stored_count_that_contradicts_the_training_annotations_is_refused(data_set, write_json):
    path, _, data, _ = data_set
    train = copy.deepcopy(train_of(data))
    for category, count in zip(train['categories'], TRAIN_INSTANCES, strict=True):
        category['instance_count'] = count
    right, wrong = write_json(train, 'right.json'), copy.deepcopy(train)
    wrong['annotations'].pop(0)
    config = dict(type='CocoLTMetric', ann_file=str(path))
    metric = METRICS.build(dict(config, train_ann_file=str(right)))
    assert metric.class_table.group_keys().tolist() == GROUPS.astype(str).tolist()
    name = train['categories'][0]['name']
    with pytest.raises(ValueError, match=rf"wrong\.json has the 'instance_count' 19 of '{name}', "
                       'but its annotations make it 18'):
        METRICS.build(dict(config, train_ann_file=str(write_json(wrong, 'wrong.json'))))


def test_group_without_classes_is_nan_and_warned_of(data_set, caplog):
    result = {}
    text = captured_log(
        caplog, lambda: result.update(run(data_set, group_thresholds=(2, 20, 9000))))
    assert 'AP1 will be NaN' in text and 'AP4 will be NaN' in text and 'AP2 will' not in text
    assert math.isnan(result['coco_lt/bbox_AP1']) and math.isnan(result['coco_lt/bbox_AP4'])
    assert result['coco_lt/bbox_AP2'] > 0


def test_group_without_ground_truth_is_nan_and_warned_of(data_set, write_json, caplog):
    path, train_path, data, records = data_set
    data = copy.deepcopy(data)
    frequent = data['categories'][GROUPS.tolist().index(4)]['id']
    # A crowd is nothing to be found.
    for annotation in data['annotations']:
        annotation['iscrowd'] |= annotation['category_id'] == frequent
    changed = (write_json(data, 'crowds.json'), train_path, data, records)
    result = {}
    text = captured_log(caplog, lambda: result.update(run(changed)))
    assert 'AP4 will be NaN' in text and text.count('will be NaN') == 1
    assert math.isnan(result['coco_lt/bbox_AP4'])
    assert not math.isnan(result['coco_lt/bbox_AP'])


def test_kept_predictions_are_coco_results(data_set, evaluate_by_pycocotools, tmp_path):
    _, _, data, _ = data_set
    result = run(data_set, metric=['bbox', 'segm'], outfile_prefix=str(tmp_path / 'kept'))
    for iou_type in ('bbox', 'segm'):
        records = json.loads((tmp_path / f'kept.{iou_type}.json').read_text())
        precision = evaluate_by_pycocotools(data, records, iou_type)
        assert np.nanmean(precision[..., 0]) == pytest.approx(result[f'coco_lt/{iou_type}_AP'])


def test_classwise_names_category_and_group(data_set, caplog):
    _, _, data, _ = data_set
    text = captured_log(caplog, lambda: run(data_set, classwise=True))
    for category, group in zip(data['categories'], GROUPS, strict=True):
        assert any(line.split()[-3:] == [str(group), *category['name'].split()]
                   for line in text.splitlines()), category


@pytest.mark.parametrize('change, found', [
    (lambda categories: categories.pop(2), r"none of \['thing"),
    (lambda categories: categories.reverse(), 'others or another order'),
    (lambda categories: categories.append({'id': 99, 'name': 'new'}), 'others or another order'),
    (lambda categories: categories[0].update(id=98), r'none of \['),
])
def test_training_file_with_other_categories_is_refused(data_set, write_json, change, found):
    path, _, data, _ = data_set
    train = {**train_of(data), 'images': [], 'annotations': []}
    train['categories'] = copy.deepcopy(train['categories'])
    change(train['categories'])
    with pytest.raises(ValueError, match=rf'\(train_ann_file=\) expects the 7 .*({found}).*other'):
        METRICS.build(dict(type='CocoLTMetric', ann_file=str(path),
                           train_ann_file=str(write_json(train, 'other.json'))))


@pytest.mark.parametrize('thresholds', [(), (0, 20), (20, 20, 400), (400, 20)])
def test_thresholds_that_do_not_increase_are_refused(data_set, thresholds):
    with pytest.raises(ValueError, match=r'CocoLTMetric\(group_thresholds=\) expects increasing'):
        run(data_set, group_thresholds=thresholds)


@pytest.mark.parametrize('key', ['ann_file', 'train_ann_file'])
def test_missing_annotations_are_refused_at_construction(data_set, tmp_path, key):
    with pytest.raises(FileNotFoundError, match=r'none\.json'):
        run(data_set, **{key: str(tmp_path / 'none.json')})


def test_label_without_a_category_is_refused(data_set):
    path, train_path, data, records = data_set
    more = {**data, 'categories': [*data['categories'], {'id': 99, 'name': 'new'}]}
    records = [*records, {**records[0], 'category_id': 99}]
    with pytest.raises(ValueError, match=r'CocoLTMetric\(ann_file=\) .* from 0 to below 7'):
        run((path, train_path, more, records))


@pytest.mark.parametrize('with_detections', [True, False])
def test_images_of_another_data_set_are_named(data_set, with_detections):
    path, train_path, data, records = data_set
    more = {**data, 'images': [*data['images'], {'id': 1000}, {'id': 1001}]}
    if with_detections:
        records = [*records, {**records[0], 'image_id': 1000}]
    with pytest.raises(ValueError, match=r'CocoLTMetric\(ann_file=\) expects every image_id .* '
                                         r'got 2 unknown: 1000, 1001\. Give'):
        run((path, train_path, more, records))


@pytest.mark.parametrize('metric', ['bbox', 'segm'])
@pytest.mark.parametrize('has_images', [True, False], ids=['no detections', 'no images'])
def test_no_predictions_give_0_where_there_is_ground_truth(data_set, caplog, metric, has_images):
    path, train_path, data, _ = data_set
    without = data if has_images else {**data, 'images': []}
    result = {}
    text = captured_log(caplog, lambda: result.update(
        run((path, train_path, without, []), metric=metric)))
    assert list(result) == list(run(data_set, metric=metric))
    assert set(result.values()) == {0}
    assert ('got predictions for 0 of 20 images' in text) != has_images
