"""Two files, or one that is split; and what configs say of where they are."""
import json
from copy import deepcopy
from pathlib import Path

import pytest
from bacl.planning.annotation_files import read_packed
from bacl.planning.sides import PlanRefusedError

NAMES = [f'{i:03d}.jpg' for i in range(13)]


@pytest.fixture
def halves(coco):
    """The world in two files: the images before the tenth, and the others."""
    def part(is_first):
        data = coco(NAMES)
        for section, key in (('images', 'id'), ('annotations', 'image_id')):
            data[section] = [r for r in data[section] if (r[key] < 10) == is_first]
        return data

    return part(True), part(False)


def test_split_keeps_every_class_of_two_images_on_both_sides(plan, coco, write_images, load):
    made = plan(coco(NAMES), write_images(NAMES), val_share=0.3)
    train, val = (json.loads(Path(f'data/world/annotations/{split}.json').read_text())
                  for split in ('train', 'val'))
    ids = [{image['id'] for image in side['images']} for side in (train, val)]
    assert ids[0] | ids[1] == set(range(1, 14)) and not ids[0] & ids[1] and len(ids[1]) == 4
    assert [len({a['category_id'] for a in side['annotations']}) for side in (train, val)] == [3, 3]
    assert '3 of 3 classes are on both sides' in '\n'.join(made.notes)
    # The same seed, the same files; another one, others.
    again = plan(coco(NAMES), Path('images'), val_share=0.3)
    assert json.loads(Path('data/world/annotations/val.json').read_text()) == val
    assert load(again).to_dict() == load(made).to_dict()
    plan(coco(NAMES), Path('images'), val_share=0.3, seed=1)
    assert json.loads(Path('data/world/annotations/val.json').read_text()) != val


def test_files_that_need_no_change_are_used_where_they_are(
        plan, halves, write_images, load, labels, truth):
    made = plan(halves[0], write_images(NAMES), halves[1])
    cfg = load(made)
    assert cfg.train_dataloader.dataset.ann_file.endswith('train_ann.json')
    assert cfg.val_evaluator.ann_file.endswith('val_ann.json')
    assert not Path('data').exists()
    assert labels(made) == truth(NAMES)


def test_categories_of_validation_get_the_ids_and_the_order_of_training(
        plan, halves, write_images, labels, truth):
    train, val = halves
    val['categories'] = [dict(id=10 * c['id'], name=c['name']) for c in reversed(val['categories'])]
    for annotation in val['annotations']:
        annotation['category_id'] *= 10
    del val['categories'][-1:]  # of the cats
    val['annotations'] = [a for a in val['annotations'] if a['category_id'] != 10]
    made = plan(train, write_images(NAMES), val)
    found = labels(made)
    assert set(found) < set(truth(NAMES))
    assert {name for _, name, _ in found} == {'cat', 'dog', 'yak'}
    val['annotations'][0]['category_id'] = 2  # no id of this file, but one of the other
    with pytest.raises(PlanRefusedError, match='val_ann.json is refused:\n.*unknown-category, 1'):
        plan(train, Path('images'), val)
    val['annotations'][0]['category_id'] = val['categories'][0]['id']
    val['categories'][0]['name'] = 'gnu'
    with pytest.raises(ValueError, match="objects of 1 categories that .*train_ann.json .*'gnu'"):
        plan(train, Path('images'), val)


def test_counts_of_lvis_are_those_of_training_in_a_file_with_other_ids(plan, halves, write_images):
    train, val = map(lvis, halves)
    val['categories'].reverse()
    plan(train, write_images(NAMES), val)
    written = json.loads(Path('data/world/annotations/val.json').read_text())
    assert written['categories'] == train['categories']


def test_images_of_two_folders_with_equal_names(plan, halves, write_images, load, labels, truth):
    train, val = halves
    for image in val['images']:
        image['file_name'] = f'{image["id"] - 10:03d}.jpg'
    write_images(NAMES[:9], 'one/train')
    write_images(NAMES[:4], 'one/valid')
    made = plan(train, Path('one'), val)
    assert load(made).val_dataloader.dataset.data_prefix.img.endswith('one/valid/')
    write_images(NAMES[:9], 'two/a')
    write_images(NAMES[:4], 'two/b')
    with pytest.raises(PlanRefusedError, match='val_ann.json.* in several folders.*--val-images'):
        plan(train, Path('two/a'), val, val_images=Path('two'))
    made = plan(train, Path('two/a'), val, val_images=Path('two/b'))
    assert load(made).val_dataloader.dataset.data_prefix.img.endswith('two/b/')
    assert len(labels(made)) == len(truth(NAMES))


def test_images_in_both_files_are_told(plan, halves, write_images):
    train, val = halves
    val['images'][0]['file_name'] = NAMES[0]
    made = plan(train, write_images(NAMES), val)
    assert '1 images are in both files' in '\n'.join(made.notes)


def lvis(data, by_url=False):
    """The same file as LVIS has it."""
    for category, group in zip(data['categories'], 'fcr', strict=True):
        category.update(frequency=group, image_count=9, instance_count=9)
    for image in data['images']:
        image.update(neg_category_ids=[3], not_exhaustive_category_ids=[])
        if by_url:
            image['coco_url'] = f'http://host/images/{image.pop("file_name")}'
    return data


@pytest.mark.parametrize('by_url', [False, True])
def test_lvis_is_evaluated_by_its_rules(by_url, plan, halves, write_images, load, labels, truth):
    write_images(NAMES)
    made = plan(lvis(halves[0], by_url), Path(), lvis(halves[1], by_url))
    cfg = load(made)
    assert cfg.val_evaluator.type == 'FastLVISMetric'
    assert cfg.train_dataloader.dataset.type == f'LongTailLVISV{"1" if by_url else "05"}Dataset'
    assert labels(made) == truth(NAMES)
    assert not Path('data').exists()


@pytest.mark.parametrize('by_url', [False, True])
def test_lvis_without_labels_of_absent_classes_is_evaluated_by_coco(
        by_url, plan, halves, write_images, load, labels, truth):
    write_images(NAMES)
    train, val = (lvis(half, by_url) for half in halves)
    del val['images'][0]['neg_category_ids']
    made = plan(train, Path(), val)
    assert load(made).val_evaluator.type == 'CocoLTMetric'
    assert labels(made) == truth(NAMES)


def test_lvis_is_split_with_its_groups(plan, coco, write_images, load, labels, truth):
    made = plan(lvis(coco(NAMES)), write_images(NAMES))
    assert load(made).val_evaluator.type == 'FastLVISMetric'
    assert labels(made) == truth(NAMES)
    train = read_packed(Path('data/world/annotations/train.json'))
    assert [c['frequency'] for c in train['categories']] == ['f', 'c', 'r']
    assert train['categories'][2]['image_count'] == 1  # of the part; the group is of the whole


def test_counts_of_the_whole_are_not_those_of_a_part(plan, coco, write_images, labels, truth):
    data = coco(NAMES)
    for category, count in zip(data['categories'], (12, 6, 2), strict=True):
        category.update(image_count=count, instance_count=count, lt_group=1)
    assert labels(plan(data, write_images(NAMES))) == truth(NAMES)
    data = deepcopy(data)
    data['categories'][0]['instance_count'] = 3
    with pytest.raises(ValueError, match='instance_count'):
        plan(coco(NAMES) | dict(categories=data['categories']), Path('images'),
             coco(NAMES))


def test_data_far_from_the_current_folder_are_named_by_their_path(
        plan, coco, pictures, tmp_path_factory, load, labels, truth):
    disk = tmp_path_factory.mktemp('disk')
    for name in NAMES:
        (disk / name).write_bytes(pictures)
    made = plan(coco(NAMES), disk)
    cfg = load(made)
    assert cfg.data_root == ''
    assert cfg.train_dataloader.dataset.data_prefix.img == f'{disk}/'
    assert cfg.val_evaluator.ann_file == 'data/world/annotations/val.json'
    assert labels(made) == truth(NAMES)


def test_files_that_are_read_are_not_overwritten(plan, coco, write_images, tmp_path):
    path = tmp_path / 'data/world/annotations/train.json'
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(coco(NAMES)))
    with pytest.raises(ValueError, match='is one of the files that are read'):
        plan(path, write_images(NAMES))
    plan(path, Path('images'), data=Path('data/parts'))
