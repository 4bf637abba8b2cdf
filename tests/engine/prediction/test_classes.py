import json

import bacl  # noqa: F401
import pytest
from bacl.engine.prediction.classes import read_classes
from mmengine.config import Config

NAMES = ('yoke', 'acorn', 'zebra')


@pytest.fixture
def cfg(make_lvis):
    """A function that makes the config of a dataset of some type, and its folder."""
    root = make_lvis('v1')
    file = root / 'annotations/lvis_v1_train.json'

    def make(kind, **fields):
        def split(name):
            return dict(dataset=dict(type=kind, data_root=str(root), ann_file=f'{name}.json',
                                     **fields))

        data = json.loads(file.read_text())
        data['images'] = [dict(image, file_name=f'{image["id"]}.jpg') for image in data['images']]
        for name in ('train', 'test'):
            (root / f'{name}.json').write_text(json.dumps(data))
        return Config(dict(test_dataloader=split('test'), train_dataloader=dict(
            dataset=dict(type='RepeatDataset', times=2, dataset=split('train')['dataset'])))), root

    return make


@pytest.fixture
def said(monkeypatch):
    texts = []
    monkeypatch.setattr('bacl.engine.prediction.classes.print_log',
                        lambda text, **kwargs: texts.append(text))
    return texts


def test_ids_and_groups_are_those_of_the_tested_annotations_if_they_are_lvis(cfg, said):
    config, root = cfg('LongTailLVISV1Dataset')
    (root / 'train.json').unlink()
    classes = read_classes(config, NAMES, 3)
    assert classes.category_ids == [7, 3, 5] and classes.groups() == ['r', 'f', 'c']
    assert classes.categories()[0] == dict(id=7, name='yoke', frequency='rare')
    assert classes.styles.label('f') == 'frequent' and not said


def test_groups_of_coco_are_those_of_the_training_annotations(cfg):
    config, root = cfg('CocoLTDataset', group_thresholds=[2, 4])
    data = json.loads((root / 'test.json').read_text())
    data['annotations'] = data['annotations'][:1]
    (root / 'test.json').write_text(json.dumps(data))
    classes = read_classes(config, NAMES, 3)
    assert classes.groups() == ['2', '3', '1']  # 2, 4 and 1 annotations
    assert [c['frequency'] for c in classes.categories()] == ['2 to 3', '4 or more', 'below 2']


@pytest.mark.parametrize('learned, names', [
    (NAMES, NAMES), (None, ('class 1', 'class 2', 'class 3'))])
def test_without_annotations_names_are_those_of_the_checkpoint(cfg, said, learned, names):
    config, root = cfg('LongTailLVISV1Dataset')
    for name in ('train', 'test'):
        (root / f'{name}.json').unlink()
    classes = read_classes(config, learned, 3)
    assert classes.names == names and classes.category_ids == [1, 2, 3]
    assert classes.groups() == [None] * 3 and classes.styles is None
    assert classes.categories()[1] == dict(id=2, name=names[1])
    assert len(said) == 1 and 'train.json does not exist' in said[0]


def test_annotations_of_other_classes_are_not_taken(cfg, said):
    config, _ = cfg('LongTailLVISV1Dataset')
    assert read_classes(config, NAMES[::-1], 3).names == NAMES[::-1]
    assert 'other classes than the checkpoint' in said[0]
    assert read_classes(config, None, 3).category_ids == [7, 3, 5]
    assert read_classes(config, None, 4).category_ids == [1, 2, 3, 4]


def test_a_foreign_dataset_has_no_groups(said):
    config = Config(dict(test_dataloader=dict(dataset=dict(type='CocoDataset', ann_file='x.json'))))
    assert read_classes(config, NAMES, 3).styles is None
    assert 'no dataset of this package' in said[0]
