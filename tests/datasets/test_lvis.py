import json
import re
from pathlib import Path

import bacl  # noqa: F401
import mmdet.datasets
import numpy as np
import pytest
from bacl.datasets import LongTailLVISV05Dataset, LongTailLVISV1Dataset
from hypothesis import given
from hypothesis import strategies as st
from mmdet.registry import DATASETS, TRANSFORMS
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks
from mmengine.config import Config
from mmengine.logging import MMLogger

CONFIGS = Path(__file__).parents[2] / 'configs' / '_base_' / 'datasets'
DATASET_OF = {'v0.5': LongTailLVISV05Dataset, 'v1': LongTailLVISV1Dataset}
PREFIX_OF = {'v0.5': 'train2017/', 'v1': ''}
LOADING = [dict(type='LoadImageFromFile')]

both_versions = pytest.mark.parametrize('version', DATASET_OF)


def dataset_args(root: Path, version: str) -> dict:
    return dict(data_root=str(root), ann_file=f'annotations/lvis_{version}_train.json',
                data_prefix=dict(img=PREFIX_OF[version]))


@pytest.fixture
def build(make_lvis):
    """Build a dataset on new files, which ``change`` may edit first."""
    def build(version: str = 'v1', change=lambda root, data: None, **kwargs):
        root = make_lvis(version)
        ann_file = root / 'annotations' / f'lvis_{version}_train.json'
        data = json.loads(ann_file.read_text())
        change(root, data)
        ann_file.write_text(json.dumps(data))
        return DATASET_OF[version](**dataset_args(root, version), **kwargs)

    return build


def remove_from_categories(*fields: str):
    def change(root: Path, data: dict) -> None:
        for category in data['categories']:
            for field in fields:
                del category[field]
    return change


def test_datasets_are_registered():
    for dataset in DATASET_OF.values():
        assert DATASETS.get(dataset.__name__) is dataset


@both_versions
def test_samples_are_those_of_the_host(make_lvis, version):
    args = dataset_args(make_lvis(version), version)
    host = {'v0.5': mmdet.datasets.LVISV05Dataset, 'v1': mmdet.datasets.LVISV1Dataset}[version]
    ours, theirs = DATASET_OF[version](**args), host(**args)
    assert len(ours) == len(theirs) == 5
    assert [ours.get_data_info(i) for i in range(5)] == [theirs.get_data_info(i) for i in range(5)]
    assert all(Path(ours.get_data_info(i)['img_path']).is_file() for i in range(5))


@both_versions
def test_classes_are_those_of_the_file_and_labels_their_positions(build, version):
    dataset = build(version)
    assert dataset.metainfo['classes'] == ('yoke', 'acorn', 'zebra')
    labels = [box['bbox_label'] for box in dataset.get_data_info(0)['instances']]
    assert labels == [1, 0, 1]


def test_classes_in_metainfo_may_repeat_the_file(build):
    assert len(build(metainfo=dict(classes=('yoke', 'acorn', 'zebra')))) == 5


@pytest.mark.parametrize('classes', [('acorn', 'yoke', 'zebra'), ('yoke', 'acorn')])
def test_contradicting_classes_are_refused(build, classes):
    with pytest.raises(ValueError, match=r'LongTailLVISV1Dataset\(metainfo=\) expects the 3 class'):
        build(metainfo=dict(classes=classes))


def test_class_table_is_that_of_the_categories(build):
    counts = build(indices=[0], lazy_init=True).class_table()
    assert counts.image_count.tolist() == [2, 4, 1]
    assert counts.instance_count.tolist() == [2, 5, 1]
    assert counts.group_keys().tolist() == ['r', 'f', 'c']


def test_counts_that_the_file_lacks_are_counted(build):
    def keep_one(root: Path, data: dict) -> None:
        remove_from_categories('image_count', 'instance_count')(root, data)
        data['categories'][0]['image_count'] = 99
        data['categories'].append({'id': 1, 'name': 'unseen', 'frequency': 'r'})

    counts = build(change=keep_one).class_table()
    assert counts.image_count.tolist() == [99, 4, 1, 0]
    assert counts.instance_count.tolist() == [2, 5, 1, 0]


def test_file_without_frequency_is_refused(build):
    with pytest.raises(ValueError, match=r"lvis_v1_train\.json is not LVIS.*no 'frequency'"):
        build(change=remove_from_categories('frequency'))


def test_file_of_the_other_version_is_refused_by_its_missing_field(make_lvis):
    args = dataset_args(make_lvis('v0.5'), 'v0.5')
    with pytest.raises(ValueError, match=r"id \d+ of its 'images' has no 'coco_url'"):
        LongTailLVISV1Dataset(**args)


def test_missing_annotation_file_is_named(make_lvis):
    args = {**dataset_args(make_lvis('v1'), 'v1'), 'ann_file': 'annotations/nowhere.json'}
    with pytest.raises(FileNotFoundError, match=r'nowhere\.json does not exist'):
        LongTailLVISV1Dataset(**args)


def test_failure_that_is_not_the_files_form_is_passed_on(build, monkeypatch):
    def fail(self, raw_data_info: dict) -> dict:
        raise AssertionError('of the host')

    monkeypatch.setattr(LongTailLVISV1Dataset, 'parse_data_info', fail)
    with pytest.raises(AssertionError, match='of the host'):
        build()


def change_annotation(**fields):
    """A change of the second annotation of the second image, whose id is 5."""
    return lambda root, data: data['annotations'][4].update(fields)


@both_versions
@pytest.mark.parametrize('fields, rule, example', [
    (dict(id=1), 'duplicate-id', 'annotation 1'),
    (dict(image_id=99), 'unknown-image', 'annotation 5 of image 99'),
    (dict(category_id=99), 'unknown-category', 'annotation 5 of category 99'),
    (dict(bbox=[float('nan'), 5, 9, 9]), 'bad-box', 'annotation 5 of image 2'),
    (dict(bbox=[30, 5, -9, 9]), 'negative-box', 'annotation 5 of image 2')])
def test_annotation_that_a_rule_refuses_is_named(build, version, fields, rule, example):
    with pytest.raises(ValueError, match=rf'(?s)lvis_{version}_train\.json is refused.*{rule}, 1: '
                       rf'.*{example}'):
        build(version, change=change_annotation(**fields))


def test_training_without_annotations_is_refused(build):
    with pytest.raises(ValueError, match='no-annotations'):
        build(change=lambda root, data: data['annotations'].clear())


def test_testing_without_annotations_is_not_refused(build):
    assert len(build(change=lambda root, data: data['annotations'].clear(), test_mode=True)) == 5


def test_what_is_counted_is_in_the_log(build, caplog):
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    try:
        build(change=change_annotation(bbox=[55, 20, 20, 20]))
    finally:
        logger.removeHandler(caplog.handler)
    assert '5 images, 8 annotations, 3 categories' in caplog.text
    for rule in ('small-box, 1: .*annotation 8 of image 5', 'id-gaps, 1: .*7, 3, 5',
                 'box-overhang, 1: .*annotation 5 of image 2'):
        assert re.search(rule, caplog.text)


@given(st.lists(st.tuples(st.lists(st.one_of(st.sampled_from([0, 1, 60, 80]), st.floats(-99, 99)),
                                   min_size=4, max_size=4), st.floats(-1, 9)), max_size=9))
def test_what_the_rules_say_is_left_out_is_what_the_host_leaves_out(boxes):
    dataset = LongTailLVISV1Dataset(data_prefix=dict(img=''), lazy_init=True)
    dataset.cat_ids, dataset.cat2label = [3], {3: 0}
    image = dict(id=1, width=80, height=60, coco_url='a.jpg', file_name='a.jpg', img_id=1)
    annotations = [dict(id=i, image_id=1, category_id=3, bbox=bbox, area=area)
                   for i, (bbox, area) in enumerate(boxes, start=1)]
    kept = dataset.parse_data_info(dict(raw_img_info=image, raw_ann_info=annotations))['instances']
    content = dict(images=[image], categories=[dict(id=3, name='emu')], annotations=annotations)
    left_out = sum(finding.count for finding in dataset.audit(content) if finding.rule.name in
                   ('negative-box', 'small-box', 'box-outside'))
    assert len(kept) == len(boxes) - left_out


@both_versions
def test_image_paths_are_those_of_the_host(make_lvis, version):
    dataset = DATASET_OF[version](**dataset_args(make_lvis(version), version))
    content = dataset.read_content()
    assert [dataset.image_path(image) for image in content['images']] == [
        dataset.get_data_info(i)['img_path'] for i in range(5)]


def test_ids_0_change_nothing_but_the_ids(build):
    def to_0(root: Path, data: dict) -> None:
        for records, field, old in ((data['images'], 'id', 1), (data['categories'], 'id', 7),
                                    (data['annotations'], 'id', 1),
                                    (data['annotations'], 'image_id', 1),
                                    (data['annotations'], 'category_id', 7)):
            for record in records:
                if record[field] == old:
                    record[field] = 0

    dataset = build(change=to_0)
    info = dataset.get_data_info(0)
    assert info['img_id'] == 0 and [box['bbox_label'] for box in info['instances']] == [1, 0, 1]
    assert dataset.class_table().image_count.tolist() == [2, 4, 1]


@pytest.mark.parametrize('test_mode', [False, True])
@pytest.mark.parametrize('pack', [[], [dict(type='PackDetInputs')]])
def test_image_of_another_size_is_named_when_it_is_used(build, pack, test_mode):
    dataset = build(change=lambda root, data: data['images'][1].update(width=80, height=60),
                    pipeline=[*LOADING, *pack], test_mode=test_mode)
    assert dataset[0]
    with pytest.raises(ValueError, match=r'000000000002\.jpg has 60 x 80 pixels as loaded, but '
                       r'.*lvis_v1_train\.json says 80 x 60'):
        dataset[1]


def test_dataset_without_any_image_is_refused(build):
    with pytest.raises(ValueError, match=r'expects at least one image.*min_size'):
        build(filter_cfg=dict(min_size=1000))


def break_image(root: Path, data: dict) -> None:
    (root / 'train2017' / '000000000002.jpg').write_bytes(b'')


def remove_image(root: Path, data: dict) -> None:
    (root / 'train2017' / '000000000002.jpg').unlink()


@pytest.mark.parametrize('test_mode', [False, True])
@pytest.mark.parametrize('change, error', [(break_image, ValueError),
                                           (remove_image, FileNotFoundError)])
def test_unreadable_image_is_named_when_it_is_used(build, change, error, test_mode):
    dataset = build(change=change, pipeline=LOADING, test_mode=test_mode)
    assert dataset[0]['img'].shape == (60, 80, 3)
    with pytest.raises(error, match=r'000000000002\.jpg'):
        dataset[1]


def test_failure_that_is_not_the_images_is_passed_on(build):
    def fail(results: dict) -> dict:
        raise KeyError('scale')

    with pytest.raises(KeyError, match='scale'):
        build(pipeline=[*LOADING, fail])[0]


@pytest.mark.parametrize('test_mode', [False, True])
@pytest.mark.parametrize('change', [break_image, remove_image])
def test_unreadable_images_are_left_out_with_a_warning_on_demand(build, caplog, change, test_mode):
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    try:
        dataset = build(change=change, skip_unreadable=True, test_mode=test_mode)
    finally:
        logger.removeHandler(caplog.handler)
    assert [dataset.get_data_info(i)['img_id'] for i in range(len(dataset))] == [1, 3, 4, 5]
    assert '1 of 5 images' in caplog.text and '000000000002.jpg' in caplog.text


# The pipelines of the configs on real files.


def train_dataset(config: str, root: Path):
    cfg = Config.fromfile(CONFIGS / config).train_dataloader.dataset
    cfg.get('dataset', cfg).data_root = str(root)
    return DATASETS.build(cfg)


def assert_boxes_inside(data_sample, img_shape: tuple[int, int]) -> None:
    boxes = data_sample.gt_instances.bboxes.tensor
    height, width = img_shape
    assert (boxes >= 0).all()
    assert (boxes[:, 2] <= width).all() and (boxes[:, 3] <= height).all()
    assert (boxes[:, 2:] > boxes[:, :2]).all()


@both_versions
def test_stage_1_samples_are_full_canvases_whose_boxes_fit_their_masks(make_lvis, version):
    np.random.seed(0)
    dataset = train_dataset(f'lvis_{version}_copy-paste.py', make_lvis(version))
    for index in [*range(len(dataset)), *range(len(dataset))]:
        sample = dataset[index]
        gt = sample['data_samples'].gt_instances
        assert tuple(sample['inputs'].shape) == (3, 1280, 1280)
        assert len(gt) > 0
        assert_boxes_inside(sample['data_samples'], (1280, 1280))
        np.testing.assert_array_equal(
            gt.masks.get_bboxes(HorizontalBoxes).tensor.numpy(), gt.bboxes.tensor.numpy())


@both_versions
def test_stage_2_samples_have_one_of_six_scales_and_are_never_empty(make_lvis, version):
    np.random.seed(0)
    dataset = train_dataset(f'lvis_{version}.py', make_lvis(version))
    assert any(not dataset.get_data_info(i)['instances'] for i in range(len(dataset)))
    short_sides = set()
    for index in range(len(dataset)):
        for _ in range(8):
            sample = dataset[index]
            height, width = sample['inputs'].shape[1:]
            assert max(height, width) <= 1333
            short_sides.add(min(height, width))
            assert len(sample['data_samples'].gt_instances) > 0
            assert_boxes_inside(sample['data_samples'], (height, width))
    assert short_sides <= {640, 672, 704, 736, 768, 800} and len(short_sides) > 3


def test_object_hidden_by_copy_paste_leaves_no_box_of_area_0():
    def sample(box: tuple[int, int, int, int]) -> dict:
        x1, y1, x2, y2 = box
        masks = np.zeros((1, 64, 64), np.uint8)
        masks[0, y1:y2, x1:x2] = 1
        return dict(img=np.zeros((64, 64, 3), np.uint8),
                    gt_bboxes=HorizontalBoxes(np.array([box], np.float32)),
                    gt_bboxes_labels=np.zeros(1, np.int64), gt_ignore_flags=np.zeros(1, bool),
                    gt_masks=BitmapMasks(masks, 64, 64))

    pipeline = Config.fromfile(CONFIGS / 'lvis_copy-paste_pipelines.py').copy_paste_pipeline
    copy_paste, drop_hidden, _ = [TRANSFORMS.build(transform) for transform in pipeline]
    copy_paste.selected = False  # paste all
    pasted = copy_paste({**sample((1, 1, 9, 9)), 'mix_results': [sample((0, 0, 40, 40))]})
    assert pasted['gt_bboxes'].areas.tolist() == [0, 1600]  # why the filter is there
    assert drop_hidden(pasted)['gt_bboxes'].areas.tolist() == [1600]
