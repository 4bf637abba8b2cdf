import pytest
from bacl.datasets.emoji_lt.longtail import long_tailed_image_counts
from bacl.datasets.emoji_lt.presets import PRESETS, get_preset


@pytest.mark.parametrize('name', ['lvis-like', 'full'])
def test_the_large_ones_have_the_groups_of_lvis_v1(name):
    assert get_preset(name)[:3] == (337, 461, 405)


@pytest.mark.parametrize('preset', PRESETS.values(), ids=PRESETS.keys())
def test_no_category_needs_more_images_than_there_are(preset):
    counts = long_tailed_image_counts(preset.num_rare, preset.num_common, preset.num_frequent)
    assert counts.max() <= preset.num_train
    assert preset.val_images_per_category <= preset.num_val


@pytest.mark.parametrize('preset', PRESETS.values(), ids=PRESETS.keys())
def test_train_and_val_images_are_about_equally_full(preset):
    counts = long_tailed_image_counts(preset.num_rare, preset.num_common, preset.num_frequent)
    train = counts.sum() / preset.num_train
    val = preset.val_images_per_category * preset.num_categories / preset.num_val
    assert val == pytest.approx(train, rel=0.15)


def test_an_unknown_preset_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"preset=.*'smoke', 'mini', 'lvis-like', 'full'.*'tiny'"):
        get_preset('tiny')
