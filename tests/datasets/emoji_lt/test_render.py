import numpy as np
from bacl.datasets.emoji_lt.plan import VAL_ONLY_VENDOR, plan_dataset
from bacl.datasets.emoji_lt.presets import PRESETS
from bacl.datasets.emoji_lt.render import ImageJob, render_dataset, render_image
from pycocotools import mask as mask_utils


def masks_by_image(dataset):
    masks = {image['id']: [] for image in dataset['images']}
    for annotation in dataset['annotations']:
        masks[annotation['image_id']].append(mask_utils.decode(annotation['segmentation']))
    return masks


def test_visible_parts_never_overlap(smoke_train, smoke_val):
    for dataset in (smoke_train, smoke_val):
        for masks in masks_by_image(dataset).values():
            assert np.sum(masks, axis=0, dtype=int).max() == 1


def test_boxes_are_tight_around_the_masks(smoke_train):
    for annotation in smoke_train['annotations']:
        assert mask_utils.toBbox(annotation['segmentation']).tolist() == annotation['bbox']
        assert mask_utils.area(annotation['segmentation']) == annotation['area'] > 0


def test_the_written_val_alone_shows_the_held_out_vendor(smoke_train, smoke_val):
    assert VAL_ONLY_VENDOR not in {a['style'] for a in smoke_train['annotations']}
    assert VAL_ONLY_VENDOR in {a['style'] for a in smoke_val['annotations']}


def test_val_shows_each_category_equally_often(smoke_val):
    images = {category['id']: set() for category in smoke_val['categories']}
    for annotation in smoke_val['annotations']:
        images[annotation['category_id']].add(annotation['image_id'])
    assert {len(ids) for ids in images.values()} == {PRESETS['smoke'].val_images_per_category}


def test_negatives_are_absent_and_in_val_complete(smoke_train, smoke_exhaustive):
    for dataset, complete in ((smoke_train, False), (smoke_exhaustive, True)):
        present = {image['id']: set() for image in dataset['images']}
        for annotation in dataset['annotations']:
            present[annotation['image_id']].add(annotation['category_id'])
        for image in dataset['images']:
            negatives = set(image['neg_category_ids'])
            assert negatives and not negatives & present[image['id']]
            if complete:
                assert len(negatives | present[image['id']]) == len(dataset['categories'])


def test_an_image_depends_on_seed_split_and_index_alone(tmp_path):
    objects = plan_dataset(PRESETS['smoke'], 0).images['train'][0]
    for split in ('train', 'val'):
        (tmp_path / split).mkdir()

    def render(seed, split, index):
        return render_image(24, 64, tmp_path, seed, ImageJob(split, index, objects))[1]

    assert render(0, 'train', 3) == render(0, 'train', 3)
    assert render(0, 'train', 3) != render(1, 'train', 3)
    assert render(0, 'train', 3) != render(0, 'val', 3)
    assert render(0, 'train', 3) != render(0, 'train', 4)


def test_progress_counts_every_image(tmp_path):
    plan = plan_dataset(PRESETS['smoke'], 0)
    plan = plan._replace(images={split: images[:3] for split, images in plan.images.items()})
    calls = []
    datasets = render_dataset(plan, 64, tmp_path, 0, 1, lambda *call: calls.append(call))
    assert calls == [(done, 6) for done in range(1, 7)]
    assert [len(dataset['images']) for dataset in datasets.values()] == [3, 3]
