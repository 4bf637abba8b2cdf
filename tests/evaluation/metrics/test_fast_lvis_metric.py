import copy
import logging
import math
from contextlib import contextmanager

import bacl  # noqa: F401
import numpy as np
import pytest
import torch
from bacl.evaluation import FastLVISMetric, evaluate_lvis
from bacl.evaluation.matching import EncodedMasks
from bacl.evaluation.metrics import fast_lvis_metric
from faster_coco_eval import mask as mask_utils
from mmdet.registry import METRICS
from mmdet.structures import DetDataSample
from mmengine.evaluator import Evaluator
from mmengine.logging import MMLogger
from mmengine.structures import InstanceData


@pytest.fixture
def data_set(make_lvis, write_json):
    """The path of annotations, and the result dicts of each image in float32."""
    data, records = make_lvis(0)
    by_image = {image['id']: [] for image in data['images']}
    for record in records:
        # What a detector gives: corners in float32. Result dicts hold what follows from them.
        x, y, w, h = record['bbox']
        corners = np.array([x, y, x + w, y + h], dtype=np.float32)
        x1, y1, x2, y2 = corners.tolist()
        by_image[record['image_id']].append({
            **record, 'corners': corners, 'bbox': [x1, y1, x2 - x1, y2 - y1],
            'score': float(np.float32(record['score']))})
    return write_json(data), data, by_image


def to_sample(image_id, records, category_ids, masks='tensor'):
    instances = InstanceData(
        bboxes=torch.tensor(np.array([r['corners'] for r in records]).reshape(-1, 4)),
        scores=torch.tensor([r['score'] for r in records]),
        labels=torch.tensor([category_ids.index(r['category_id']) for r in records],
                            dtype=torch.int64))
    if masks == 'tensor':
        decoded = [mask_utils.decode(r['segmentation']) for r in records]
        instances.masks = torch.tensor(np.array(decoded).reshape(-1, 160, 160)).bool()
    elif masks == 'encoded':
        instances.masks = [r['segmentation'] for r in records]
    sample = DetDataSample(metainfo={'img_id': image_id, 'ori_shape': (160, 160)})
    sample.pred_instances = instances
    return sample


def to_samples(data_set, masks='tensor'):
    _, data, by_image = data_set
    category_ids = [c['id'] for c in data['categories']]
    return [to_sample(i, records, category_ids, masks) for i, records in by_image.items()]


def run(samples, size=None, **kwargs):
    evaluator = Evaluator(METRICS.build(dict(type='FastLVISMetric', **kwargs)))
    for start in range(0, len(samples), 3):
        evaluator.process(samples[start:start + 3])
    return evaluator.evaluate(size or len(samples))


@contextmanager
def captured(caplog):
    """The log of mmengine, which does not propagate."""
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    try:
        with caplog.at_level(logging.INFO):
            yield
    finally:
        logger.removeHandler(caplog.handler)


def flat(by_image, drop=()):
    return [{k: v for k, v in r.items() if k not in ('corners', *drop)}
            for records in by_image.values() for r in records]


def prefixed(iou_type, result):
    return {f'lvis/{iou_type}_{name}': value for name, value in result.items()}


def assert_equal(result, expected):
    assert list(result) == list(expected)
    for name, value in expected.items():
        assert result[name] == pytest.approx(value, abs=1e-9, nan_ok=True), name


@pytest.mark.parametrize('masks', ['tensor', 'encoded'])
def test_reports_what_lvis_api_computes(data_set, evaluate_by_lvis_api, masks):
    path, _, by_image = data_set
    result = run(to_samples(data_set, masks), ann_file=str(path), metric=['bbox', 'segm'],
                 max_dets=30)
    boxes, _ = evaluate_by_lvis_api(path, flat(by_image), 'bbox', 30)
    masks, _ = evaluate_by_lvis_api(path, flat(by_image, drop=['bbox']), 'segm', 30)
    assert_equal(result, {**prefixed('bbox', boxes), **prefixed('segm', masks)})


def test_box_may_decide_the_size_of_a_mask(data_set, evaluate_by_lvis_api):
    path, _, by_image = data_set
    result = run(to_samples(data_set), ann_file=str(path), metric='segm', drop_box_for_segm=False)
    expected, _ = evaluate_by_lvis_api(path, flat(by_image), 'segm')
    assert_equal(result, prefixed('segm', expected))


@pytest.mark.parametrize('drop_box', [True, False])
def test_kept_predictions_evaluate_to_the_same(data_set, tmp_path, drop_box):
    path, _, _ = data_set
    prefix = str(tmp_path / 'kept')
    result = run(to_samples(data_set), ann_file=str(path), metric=['bbox', 'segm'],
                 outfile_prefix=prefix, drop_box_for_segm=drop_box)
    expected = {}
    for iou_type in ('bbox', 'segm'):
        kept = evaluate_lvis(path, f'{prefix}.{iou_type}.json', iou_type)
        expected.update(prefixed(iou_type, kept))
    assert_equal(result, expected)


@pytest.mark.parametrize('drop_from', [60, 10**9])
def test_fixed_and_pooled_ap_are_those_of_all_records(data_set, monkeypatch, drop_from):
    monkeypatch.setattr(fast_lvis_metric, '_DROP_FROM', drop_from)
    path, _, by_image = data_set
    caps = dict(max_dets=5, max_dets_per_class=20)
    held = []
    monkeypatch.setattr(FastLVISMetric, 'compute_metrics', lambda self, results: (
        held.append(len(results.labels)), compute_metrics(self, results))[1])
    result = run(to_samples(data_set), ann_file=str(path), metric=['bbox', 'segm'], **caps)
    expected = {}
    for iou_type, drop in (('bbox', ()), ('segm', ['bbox'])):
        metrics = evaluate_lvis(path, flat(by_image, drop), iou_type, **caps)
        expected.update(prefixed(iou_type, metrics))
    assert_equal(result, expected)
    assert next(iter(result)) == 'lvis/bbox_AP'  # what save_best='auto' looks at
    num_records = len(flat(by_image))
    assert held[0] < num_records / 2 if drop_from == 60 else held[0] == num_records


compute_metrics = FastLVISMetric.compute_metrics


def test_dropping_looks_at_mask_scores_too(data_set, monkeypatch):
    monkeypatch.setattr(fast_lvis_metric, '_DROP_FROM', 60)
    path, _, by_image = data_set
    samples = to_samples(data_set)
    for sample in samples:
        sample.pred_instances.mask_scores = 1 - sample.pred_instances.scores
    caps = dict(max_dets=5, max_dets_per_class=20)
    result = run(samples, ann_file=str(path), metric='segm', **caps)
    records = [{**r, 'score': float(np.float32(1) - np.float32(r['score']))}
               for r in flat(by_image, drop=['bbox'])]
    assert_equal(result, prefixed('segm', evaluate_lvis(path, records, 'segm', **caps)))


def test_fixed_ap_of_a_detector_with_the_cap_of_ap_is_warned_of(data_set, caplog):
    path, _, by_image = data_set
    most = max(len(records) for records in by_image.values())
    for max_dets, warned in ((most, True), (most - 1, False)):
        caplog.clear()
        with captured(caplog):
            run(to_samples(data_set), ann_file=str(path), max_dets=max_dets, max_dets_per_class=99)
        assert ('max_per_img' in caplog.text) is warned


def test_predictions_beyond_the_cap_change_nothing_but_fixed_and_pooled_ap(data_set):
    """So a detector that gives many tells of the cap and of hardly any in one test."""
    path, _, _ = data_set
    many = to_samples(data_set)
    few = copy.deepcopy(many)
    for sample in few:
        best = sample.pred_instances.scores.argsort(descending=True, stable=True)[:5]
        sample.pred_instances = sample.pred_instances[best]
    caps = dict(ann_file=str(path), max_dets=5)
    of_few, of_many = run(few, **caps), run(many, **caps, max_dets_per_class=20)
    assert of_few == {name: of_many[name] for name in of_few}
    assert of_many['lvis/bbox_fixed_AP'] > of_many['lvis/bbox_AP']


def test_exhaustive_labels_give_numbers_beside_the_others(data_set, write_json, caplog):
    path, data, by_image = data_set
    exhaustive = copy.deepcopy(data)
    for image in exhaustive['images']:
        present = {a['category_id'] for a in data['annotations'] if a['image_id'] == image['id']}
        image.update(not_exhaustive_category_ids=[], neg_category_ids=[
            c['id'] for c in data['categories'] if c['id'] not in present])
    file = str(write_json(exhaustive, 'exhaustive.json'))
    with captured(caplog):
        result = run(to_samples(data_set), ann_file=str(path), exhaustive_ann_file=file)
    expected = evaluate_lvis(path, flat(by_image), exhaustive_ann_file=file)
    assert_equal(result, prefixed('bbox', expected))
    assert f'{result["lvis/bbox_exhaustive_APr"]:.4f}' in caplog.text
    with pytest.raises(ValueError, match='lvis.json is not the exhaustive one: image'):
        run([], ann_file=file, exhaustive_ann_file=str(path))


def test_mask_scores_rank_the_masks(data_set):
    path, _, by_image = data_set
    samples = to_samples(data_set)
    for sample in samples:
        sample.pred_instances.mask_scores = 1 - sample.pred_instances.scores
    result = run(samples, ann_file=str(path), metric='segm')
    records = [{**r, 'score': float(np.float32(1) - np.float32(r['score']))}
               for r in flat(by_image, drop=['bbox'])]
    assert_equal(result, prefixed('segm', evaluate_lvis(path, records, 'segm')))


def test_samples_padded_by_the_sampler_do_not_count_twice(data_set):
    path, _, _ = data_set
    samples = to_samples(data_set)
    expected = run(samples, ann_file=str(path))
    assert_equal(run(samples + samples, size=len(samples), ann_file=str(path)), expected)
    # Nor does an image that another sampler repeats.
    assert_equal(run(samples + samples, ann_file=str(path)), expected)


def test_images_without_predictions_are_missed(data_set):
    path, _, by_image = data_set
    samples = to_samples(data_set)[:10]
    kept = dict(list(by_image.items())[:10])
    expected = prefixed('bbox', evaluate_lvis(path, flat(kept)))
    assert_equal(run(samples, ann_file=str(path)), expected)


def test_empty_predictions_give_0(data_set):
    path, data, by_image = data_set
    samples = to_samples((path, data, {image_id: [] for image_id in by_image}))
    result = run(samples, ann_file=str(path), metric=['bbox', 'segm'])
    assert set(result.values()) == {0}
    assert len(result) == 18


def test_no_predictions_at_all_give_0_and_are_said(data_set, caplog):
    path, _, _ = data_set
    with captured(caplog):
        result = run([], ann_file=str(path), metric=['bbox', 'segm'])
    assert set(result.values()) == {0} and len(result) == 18
    assert 'FastLVISMetric got no predictions to evaluate on this rank' in caplog.text
    assert 'got predictions for 0 of 20 images: the others count as missed' in caplog.text


def test_group_without_categories_is_nan_and_warned_of(data_set, write_json, caplog):
    _, data, _ = data_set
    data = copy.deepcopy(data)
    for category in data['categories']:
        category['frequency'] = 'c'
    path = write_json(data, 'common.json')
    with captured(caplog):
        result = run(to_samples(data_set), ann_file=str(path))
    assert math.isnan(result['lvis/bbox_APr']) and math.isnan(result['lvis/bbox_APf'])
    assert result['lvis/bbox_APc'] == pytest.approx(result['lvis/bbox_AP'], abs=1e-15)
    assert 'FastLVISMetric: APr will be NaN' in caplog.text and 'APf will be NaN' in caplog.text
    assert caplog.text.count('will be NaN') == 2


@pytest.mark.parametrize('change', [dict(ignore=1), dict(area=0.0), None])
def test_group_without_ground_truth_is_nan_excluded_and_warned_of(
        data_set, write_json, caplog, evaluate_by_lvis_api, change):
    _, data, by_image = data_set
    data = copy.deepcopy(data)
    rare = {c['id'] for c in data['categories'] if c['frequency'] == 'r'}
    if change is None:
        data['annotations'] = [a for a in data['annotations'] if a['category_id'] not in rare]
    for annotation in data['annotations']:
        if annotation['category_id'] in rare:
            annotation.update(change)
    path = write_json(data, 'no_rare.json')
    with captured(caplog):
        result = run(to_samples(data_set), ann_file=str(path))
    expected, _ = evaluate_by_lvis_api(path, flat(by_image))
    assert_equal(result, prefixed('bbox', expected))
    assert math.isnan(result['lvis/bbox_APr']) and result['lvis/bbox_AP'] > 0
    assert 'FastLVISMetric: APr will be NaN, because no category of group r' in caplog.text
    assert caplog.text.count('will be NaN') == 1


def test_groups_with_ground_truth_are_not_warned_of(data_set, caplog):
    with captured(caplog):
        run(to_samples(data_set), ann_file=str(data_set[0]))
    assert 'NaN' not in caplog.text


def test_only_classwise_names_the_categories_in_the_log(data_set, caplog):
    path, data, _ = data_set
    names = [c['name'] for c in data['categories']]
    for classwise in (False, True):
        caplog.clear()
        with captured(caplog):
            run(to_samples(data_set), ann_file=str(path), classwise=classwise)
        assert [name in caplog.text for name in names] == [classwise] * len(names)


def test_label_without_a_category_is_refused(data_set):
    path, _, _ = data_set
    samples = to_samples(data_set)
    sample = next(s for s in samples if len(s.pred_instances))
    sample.pred_instances.labels[0] = 7
    with pytest.raises(ValueError, match=r'from 0 to below 7.* got 7 in image 31\. Set num'):
        run(samples, ann_file=str(path))


def test_missing_masks_are_refused(data_set):
    path, _, _ = data_set
    with pytest.raises(ValueError, match=r"masks for 'segm', got"):
        run(to_samples(data_set, masks=None), ann_file=str(path), metric='segm')


@pytest.mark.parametrize('with_detections', [True, False])
def test_images_of_another_data_set_are_named(data_set, with_detections):
    path, data, by_image = data_set
    records = next(records for records in by_image.values() if records) if with_detections else []
    sample = to_sample(1000, records, [c['id'] for c in data['categories']])
    with pytest.raises(ValueError, match=r'FastLVISMetric\(ann_file=\) .*image_id .*unknown: 1000'):
        run([sample], ann_file=str(path))


@pytest.mark.parametrize('key, field', [('images', 'neg_category_ids'),
                                        ('images', 'not_exhaustive_category_ids'),
                                        ('categories', 'frequency')])
def test_annotations_without_a_field_are_refused_at_construction(data_set, write_json, key, field):
    _, data, _ = data_set
    data = copy.deepcopy(data)
    del data[key][-1][field]
    path = str(write_json(data, 'lacking.json'))
    with pytest.raises(ValueError, match=rf'lacking\.json.*{field}'):
        METRICS.build(dict(type='FastLVISMetric', ann_file=path))


def test_missing_annotations_are_refused_at_construction(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'Annotation file .*none\.json'):
        METRICS.build(dict(type='FastLVISMetric', ann_file=str(tmp_path / 'none.json')))


@pytest.mark.parametrize('argument, value',
                         [('metric', 'proposal'), ('metric', []), ('max_dets', 0),
                          ('max_dets_per_class', 0), ('collect_device', 'gpu')])
def test_arguments_out_of_range_are_refused(data_set, argument, value):
    with pytest.raises(ValueError, match=rf'FastLVISMetric\({argument}=\)'):
        METRICS.build(dict(type='FastLVISMetric', ann_file=str(data_set[0]), **{argument: value}))


def test_results_are_arrays_and_are_cleared(data_set):
    path, _, by_image = data_set
    metric = METRICS.build(dict(type='FastLVISMetric', ann_file=str(path), metric='segm'))
    for sample in to_samples(data_set):
        metric.process({}, [sample.to_dict()])
    assert len(metric.results) == len(by_image)
    for predictions in metric.results:
        for value in vars(predictions).values():
            assert value is None or isinstance(value, np.ndarray | EncodedMasks)
    metric.evaluate(len(by_image))
    assert metric.results == []
