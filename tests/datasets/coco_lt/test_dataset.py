import json
from pathlib import Path

import bacl  # noqa: F401
import cv2
import numpy as np
import pytest
from bacl.datasets import CocoLTDataset
from bacl.datasets.coco_lt import build_coco_lt
from mmdet.datasets import CocoDataset
from mmdet.registry import DATASETS
from mmengine.config import Config

CONFIGS = Path(__file__).parents[3] / 'configs' / '_base_' / 'datasets'
CLASSES = CocoDataset.METAINFO['classes']


@pytest.fixture
def data_root(tmp_path):
    """COCO's layout: 3 images with polygons, the second with a crowd, too, and 25 of class 80.

    As in COCO, the ids of the categories are not contiguous, and their order is mmdet's.
    """
    rng = np.random.default_rng(0)
    categories = [{'id': label + label // 10 + 1, 'name': name}
                  for label, name in enumerate(CLASSES)]
    images, annotations = [], []
    for image_id, labels in ((1, [0, 1, 2]), (2, [0] + 25 * [79]), (3, [5])):
        images.append({'id': image_id, 'file_name': f'{image_id}.jpg', 'height': 60, 'width': 80})
        path = tmp_path / 'train2017' / f'{image_id}.jpg'
        path.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(path), rng.integers(0, 256, (60, 80, 3), dtype=np.uint8))
        for label in labels:
            annotations.append({
                'id': len(annotations) + 1, 'image_id': image_id, 'iscrowd': 0, 'area': 400,
                'category_id': categories[label]['id'], 'bbox': [10, 10, 20, 20],
                'segmentation': [[10, 10, 30, 10, 30, 30, 10, 30]]})
    crowd = next(a for a in annotations if a['image_id'] == 2)
    rows = 60
    crowd.update(iscrowd=1, segmentation={'size': [60, 80], 'counts': [rows * 10, rows * 70]},
                 bbox=[10, 0, 70, 60], area=rows * 70)
    (tmp_path / 'annotations').mkdir()
    (tmp_path / 'annotations' / 'source.json').write_text(json.dumps(
        {'images': images, 'annotations': annotations, 'categories': categories}))
    return tmp_path


@pytest.fixture
def ann_file(data_root):
    """Annotations that the builder has written: 20 of class 80, and the first of the others."""
    folder = data_root / 'annotations'
    return build_coco_lt(folder / 'source.json', folder / 'coco_lt_train2017.json', 'C',
                         max_count=20, min_count=1).out_file


def build(ann_file, **kwargs):
    return CocoLTDataset(ann_file=str(ann_file), data_prefix=dict(
        img=str(ann_file.parents[1] / 'train2017')), **kwargs)


def changed(ann_file, change):
    data = json.loads(ann_file.read_text())
    change(data)
    ann_file.write_text(json.dumps(data))
    return ann_file


def test_dataset_is_registered():
    assert DATASETS.get('CocoLTDataset') is CocoLTDataset


def test_classes_of_coco_are_those_of_mmdet_in_its_order(ann_file):
    assert build(ann_file).metainfo['classes'] == CLASSES


def test_samples_are_those_of_the_host(ann_file):
    ours = build(ann_file)
    theirs = CocoDataset(ann_file=str(ann_file), data_prefix=dict(
        img=str(ann_file.parents[1] / 'train2017')))
    assert [ours.get_data_info(i) for i in range(len(theirs))] == [
        theirs.get_data_info(i) for i in range(len(theirs))]
    labels = {instance['bbox_label'] for instance in ours.get_data_info(1)['instances']}
    assert len(ours) == 3 and labels == {0, 79}


def test_classes_are_those_of_the_file_with_groups_as_text(ann_file):
    counts = build(ann_file, lazy_init=True).class_table()
    assert counts.instance_count[[0, 1, 3, 79]].tolist() == [2, 1, 0, 20]
    assert counts.image_count[[0, 79]].tolist() == [2, 1]
    assert counts.group_keys()[[0, 1, 3, 79]].tolist() == ['1', '1', '1', '2']


def test_counts_and_groups_that_the_file_lacks_follow_from_its_annotations(data_root):
    counts = build(data_root / 'annotations' / 'source.json').class_table()
    assert counts.instance_count[[0, 79]].tolist() == [2, 25]
    assert counts.group_keys()[[0, 79]].tolist() == ['1', '2']


def test_groups_follow_other_thresholds(ann_file):
    counts = build(ann_file, group_thresholds=(1, 2, 20, 21, 22)).class_table()
    assert counts.group_keys()[[0, 1, 3, 79]].tolist() == ['3', '2', '1', '4']


def test_thresholds_that_do_not_increase_are_refused(ann_file):
    with pytest.raises(ValueError, match=r'CocoLTDataset\(group_thresholds=\) expects increasing'):
        build(ann_file, group_thresholds=(400, 20))


def test_counts_left_over_from_a_larger_file_are_refused(ann_file):
    def drop_last(data):
        assert data['annotations'].pop()['image_id'] in (2, 3)

    with pytest.raises(ValueError, match=r"coco_lt_train2017\.json has the '\w+_count' \d+ of '"):
        build(changed(ann_file, drop_last))


def test_contradicting_classes_are_refused(ann_file):
    with pytest.raises(ValueError, match=r'CocoLTDataset\(metainfo=\) expects the 80 classes of'):
        build(ann_file, metainfo=dict(classes=CLASSES[::-1]))


@pytest.mark.parametrize('change, text', [
    (lambda data: data.update(categories=[]), "list 'categories' is empty"),
    (lambda data: data['categories'][3].pop('name'), "id 4 of its 'categories' has no 'name'"),
    (lambda data: data['images'][0].pop('file_name'), "id 1 of its 'images' has no 'file_name'"),
    (lambda data: data['annotations'][0].pop('bbox'), "of its 'annotations' has no 'bbox'"),
])
def test_file_that_is_not_coco_is_refused(ann_file, change, text):
    with pytest.raises(ValueError, match=rf'coco_lt_train2017\.json is not COCO: .*{text}'):
        build(changed(ann_file, change))


def test_missing_file_is_named(data_root):
    with pytest.raises(FileNotFoundError, match=r'nowhere\.json does not exist'):
        build(data_root / 'annotations' / 'nowhere.json')


def test_dataset_without_any_image_is_refused(ann_file):
    with pytest.raises(ValueError, match=r'expects at least one image.*min_size'):
        build(ann_file, filter_cfg=dict(min_size=1000))


def test_missing_image_is_named_or_left_out(ann_file):
    (ann_file.parents[1] / 'train2017' / '2.jpg').unlink()
    loading = [dict(type='LoadImageFromFile')]
    with pytest.raises(FileNotFoundError, match=r'2\.jpg'):
        build(ann_file, pipeline=loading)[1]
    readable = build(ann_file, pipeline=loading, skip_unreadable=True)
    assert [readable[i]['img_id'] for i in range(len(readable))] == [1, 3]


@pytest.mark.parametrize('name', ['coco-lt', 'coco-lt_copy-paste'])
def test_training_config_loads_boxes_and_ignores_crowds(ann_file, name):
    cfg = Config.fromfile(CONFIGS / f'{name}.py')
    dataset = cfg.train_dataloader.dataset
    innermost = dataset.dataset if name.endswith('paste') else dataset
    assert innermost.ann_file == 'annotations/coco_lt_train2017.json'
    innermost.data_root = str(ann_file.parents[1])
    dataset = DATASETS.build(dataset)
    assert len(dataset) == 3
    np.random.seed(0)  # what is pasted may cover all of an object
    samples = [dataset[i]['data_samples'] for i in range(3)]
    labels = {label for sample in samples for label in sample.gt_instances.labels.tolist()}
    assert {5, 79} <= labels <= {0, 1, 2, 5, 79}
    # The image may be pasted on itself.
    assert 1 <= len(samples[1].ignored_instances) <= 1 + name.endswith('paste')
    assert len(samples[1].gt_instances) >= 1


def test_evaluator_of_the_config_reads_the_files_of_the_datasets():
    cfg = Config.fromfile(CONFIGS / 'coco-lt.py')
    for split in ('val', 'test'):
        dataset, evaluator = cfg[f'{split}_dataloader'].dataset, cfg[f'{split}_evaluator']
        assert evaluator.type == 'CocoLTMetric' and evaluator.max_dets == 100
        assert evaluator.ann_file == dataset.data_root + dataset.ann_file
        train = cfg.train_dataloader.dataset
        assert evaluator.train_ann_file == train.data_root + train.ann_file
