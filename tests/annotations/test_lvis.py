import bacl  # noqa: F401
import pytest
from bacl.annotations.audit import check_annotations
from bacl.annotations.lvis import check_frequencies, lvis_use
from bacl.annotations.use import Use

IMAGE = dict(id=4, width=9, height=9, coco_url='a.jpg')
FEDERATED = dict(neg_category_ids=[], not_exhaustive_category_ids=[])
ANNOTATION = dict(id=1, image_id=4, category_id=2, bbox=[0, 0, 5, 5], area=25)
CATEGORY = dict(id=2, name='emu', frequency='r')


def check(use, image=IMAGE, category=CATEGORY):
    check_annotations(dict(images=[image], annotations=[ANNOTATION], categories=[category]),
                      'a.json', use)


def test_training_needs_what_images_are_opened_by_and_evaluation_what_was_looked_for():
    training, evaluation = lvis_use(purpose='training', name_field='coco_url'), lvis_use(
        purpose='evaluation')
    check(training)
    with pytest.raises(ValueError, match="a.json is not LVIS: id 4 .* no 'neg_category_ids'"):
        check(evaluation)
    unopened = {**IMAGE, **FEDERATED}
    del unopened['coco_url']
    check(evaluation, unopened)
    with pytest.raises(ValueError, match="id 4 of its 'images' has no 'coco_url'"):
        check(training, unopened)


def test_names_are_needed_only_by_datasets():
    unnamed = dict(id=2, frequency='r')
    check(lvis_use(purpose='evaluation'), {**IMAGE, **FEDERATED}, unnamed)
    with pytest.raises(ValueError, match="id 2 of its 'categories' has no 'name'"):
        check(lvis_use(name_field='coco_url'), category=unnamed)


@pytest.mark.parametrize('frequency', ['often', 'R', '', None, 1, ['r']])
def test_unknown_frequency_is_refused(frequency):
    category = {**CATEGORY, 'frequency': frequency}
    with pytest.raises(ValueError, match='bad-category, 1: .*category 2: frequency'):
        check(lvis_use(), category=category)
    with pytest.raises(ValueError, match=r"a\.json is not LVIS: id 2 .*'frequency'"):
        check_frequencies([category], 'a.json')
    check(Use('COCO'), category=category)  # where it means nothing
