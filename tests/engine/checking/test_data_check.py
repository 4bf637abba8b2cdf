import json

import bacl  # noqa: F401
import cv2
import numpy as np
import pytest
from bacl.datasets.image_audit import ImageRecord, Loader, audit_image
from bacl.engine.checking.data_check import audit_images, check_data
from mmcv.transforms import LoadImageFromFile
from mmdet.registry import DATASETS
from mmengine.config import Config

LOADING = dict(type='LoadImageFromFile')


@pytest.fixture
def root(make_lvis):
    return make_lvis('v1')


@pytest.fixture
def dataset(root):
    return dict(type='LongTailLVISV1Dataset', data_root=str(root), data_prefix=dict(img=''),
                ann_file='annotations/lvis_v1_train.json', pipeline=[LOADING])


def edit(root, change):
    path = root / 'annotations' / 'lvis_v1_train.json'
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


def check(*args, **datasets):
    return check_data(Config({f'{split}_dataloader': dataset and dict(dataset=dataset)
                              for split, dataset in datasets.items()}), *args)


def names(report, refused=None):
    return {finding.rule.name for finding in report.findings
            if refused is None or finding.rule.refused == refused}


def test_each_dataset_is_gone_through_once(dataset):
    test = dict(dataset, test_mode=True)
    reports = check(train=dataset, val=test, test=test)
    assert [report.splits for report in reports] == [['train'], ['val', 'test']]
    assert [report.num_opened for report in reports] == [5, 5]
    assert not any(report.is_refused for report in reports)
    assert 'train: LongTailLVISV1Dataset' in str(reports[0])
    assert '5 images, 8 annotations, 3 categories. 5 images were opened.' in str(reports[0])
    assert names(reports[0]) == {'small-box', 'unused-image', 'id-gaps'}
    assert 'Training sees 7 of 8 annotations, 5 of 5 images' in str(reports[0])
    assert reports[1].left_out == ''


@pytest.mark.parametrize('change, config, named', [
    (dict(image_count=99), {}, "'image_count' 99"), (dict(instance_count=99), {}, '99'),
    (dict(frequency='x'), {}, "'frequency' 'x'"),
    ({}, dict(metainfo=dict(classes=('a', 'b', 'c'))), "Leave 'classes' out")])
def test_what_keeps_classes_from_being_counted_is_refused(root, dataset, change, config, named):
    def to_coco(data):
        for category in data['categories']:
            for name in ('frequency', 'image_count', 'instance_count'):
                category.pop(name, None)
            category.update(frequency='r') if 'frequency' in change else None
        for image in data['images']:
            image['file_name'] = image['coco_url'].removeprefix('http://images.cocodataset.org/')
        data['categories'][0].update(change)

    edit(root, to_coco)
    dataset = dict(dataset, type='CocoLTDataset', **config)
    (report, ) = check(False, train=dataset)
    assert names(report, refused=True) == {'bad-classes'} and named in str(report)
    with pytest.raises(ValueError, match=named):
        DATASETS.build(dataset)


def test_datasets_are_found_in_wrappers(dataset):
    wrapped = dict(type='MultiImageMixDataset', dataset=dataset, pipeline=[])
    (report, ) = check(train=wrapped, val=None)
    assert report.splits == ['train'] and report.num_opened == 5


def test_images_without_boxes_are_gone_through_beside_detection_data(root, dataset):
    folder = root / 'single' / 'acorn'
    folder.mkdir(parents=True)
    cv2.imwrite(str(folder / 'a.png'), np.zeros((20, 30, 3), np.uint8))
    (folder / 'b.jpg').write_bytes(b'no picture')
    single = dict(type='ImageLevelDataset', data_root=str(root), ann_file='single',
                  class_file=dataset['ann_file'], pipeline=[LOADING])
    joint = dict(type='JointDataset', datasets=[
        dataset, dict(type='MultiImageMixDataset', dataset=single, pipeline=[])])
    detection, report = check(train=joint)
    assert not detection.is_refused and report.num_opened == 2
    assert names(report, refused=True) == {'broken-image'}
    assert names(report, refused=False) == {'absent-class'}
    folder.rename(folder.with_name('unicorn'))
    assert 'unknown-class' in names(check(train=joint)[1], refused=True)
    (detection, report) = check(train=dict(joint, datasets=[
        dataset, dict(single, class_file='none.json')]))
    assert names(report) == {'bad-file'}


def test_images_stay_closed_on_demand(root, dataset):
    (root / 'train2017' / '000000000002.jpg').unlink()
    (report, ) = check(False, train=dataset)
    assert report.num_opened is None and not report.is_refused
    assert 'Images were not opened.' in str(report)


def test_refused_annotations_do_not_keep_the_images_closed(root, dataset):
    (root / 'train2017' / '000000000002.jpg').unlink()
    edit(root, lambda data: data['annotations'][0].update(category_id=99))
    edit(root, lambda data: data['images'][3].update(width=0))
    (report, ) = check(train=dataset)
    assert names(report, refused=True) == {'unknown-category', 'bad-image', 'missing-image'}
    assert report.num_opened == 4
    assert str(report).index('REFUSED') < str(report).index('counted')


@pytest.mark.parametrize('change, text', [
    (lambda path: path.unlink(), 'does not exist'), (lambda path: path.write_text(''), 'is empty'),
    (lambda path: path.write_text('{"images": []}'), "no list 'annotations'")])
def test_file_of_another_form_is_refused(root, dataset, change, text):
    change(root / 'annotations' / 'lvis_v1_train.json')
    (report, ) = check(train=dataset)
    assert names(report) == {'bad-file'} and report.is_refused and text in str(report)


@pytest.mark.parametrize('kind', ['LoadImageFromFile', 'mmengine.LoadImageFromFile',
                                  'mmcv.transforms.LoadImageFromFile', LoadImageFromFile])
def test_images_are_decoded_as_the_pipeline_does(dataset, kind):
    gray = dict(type=kind, color_type='grayscale')
    train, val = check(train=dict(dataset, pipeline=[gray]), val=dataset)
    assert 'other-channels' in names(train) and 'other-channels' not in names(val)


@pytest.mark.parametrize('kind', ['LVISV1Dataset', 'ToyDataset'])
def test_datasets_of_others_are_refused(dataset, kind):
    with pytest.raises(ValueError, match=rf"val_dataloader\.dataset\.type expects .* got '{kind}'"):
        check(val=dict(dataset, type=kind))


def test_config_without_data_is_refused():
    with pytest.raises(ValueError, match='expects a train_dataloader'):
        check(train=None)


def test_worker_processes_find_what_one_process_finds(tmp_path):
    records = []
    for i in range(200):
        path = tmp_path / f'{i}.png'
        cv2.imwrite(str(path), np.zeros((4, 5) if i % 3 else (4, 5, 3), np.uint8))
        records.append(ImageRecord(i, str(path), (4, 5) if i % 7 else (5, 4)))
    one, two = (audit_images(records, Loader(), workers) for workers in (0, 2))
    assert one == two
    slow = [applied for record in records for applied in audit_image(record, Loader())]
    for finding in two:
        examples = [example for name, example in slow if name == finding.rule.name]
        assert finding.count == len(examples) and finding.examples == examples[:5]
    assert {finding.rule.name for finding in two} == {name for name, _ in slow}
