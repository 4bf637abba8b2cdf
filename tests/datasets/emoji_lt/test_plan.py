from collections import Counter, defaultdict

import numpy as np
import pytest
from bacl.datasets.emoji_lt.longtail import frequency_group
from bacl.datasets.emoji_lt.plan import (
    NUM_TRAIN_STYLES,
    VAL_ONLY_VENDOR,
    choose_categories,
    plan_dataset,
)
from bacl.datasets.emoji_lt.presets import PRESETS


@pytest.fixture(scope='module')
def plan():
    return plan_dataset(PRESETS['mini'], seed=0)


def images_of_categories(plan, split):
    counts = Counter()
    for objects in plan.images[split]:
        counts.update({planned.category for planned in objects})
    return [counts[category] for category in range(len(plan.categories))]


def test_mini_has_the_groups_of_its_preset(plan):
    groups = Counter(frequency_group(count) for count in images_of_categories(plan, 'train'))
    assert groups == {'r': 48, 'c': 44, 'f': 28}


def test_val_is_balanced(plan):
    assert set(images_of_categories(plan, 'val')) == {PRESETS['mini'].val_images_per_category}


def test_images_hold_between_five_and_six_objects(plan):
    for images in plan.images.values():
        assert 5.4 < np.mean([len(objects) for objects in images]) < 5.9


def test_one_vendor_is_seen_in_val_only(plan):
    vendors = {split: Counter(planned.vendor for objects in images for planned in objects)
               for split, images in plan.images.items()}
    assert VAL_ONLY_VENDOR not in vendors['train']
    assert vendors['val'][VAL_ONLY_VENDOR] > 0.1 * vendors['val'].total()
    assert set(vendors['val']) == {*vendors['train'], VAL_ONLY_VENDOR}


def test_the_tail_lacks_styles(plan):
    counts = images_of_categories(plan, 'train')
    styles = defaultdict(set)
    for objects in plan.images['train']:
        for planned in objects:
            styles[planned.category].add(planned.vendor)
    for category, vendors in styles.items():
        allowed = NUM_TRAIN_STYLES[frequency_group(counts[category])]
        assert len(vendors) <= allowed if allowed else len(vendors) >= 4


def test_the_head_is_not_told_by_the_id(plan):
    counts = images_of_categories(plan, 'train')
    assert abs(np.corrcoef(np.arange(len(counts)), counts)[0, 1]) < 0.3


def test_drawings_are_those_of_category_and_vendor(plan):
    for planned in plan.images['train'][0] + plan.images['val'][0]:
        assert planned.drawing == plan.categories[planned.category].styles[planned.vendor]


def test_too_few_emoji_are_refused():
    with pytest.raises(RuntimeError, match='expects 5000 emoji'):
        choose_categories(5000, np.random.default_rng(0))
