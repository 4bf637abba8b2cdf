from types import SimpleNamespace

import bacl  # noqa: F401
import pytest
from bacl.engine.checking.class_checks import (
    check_class_counts,
    check_class_order,
    innermost_dataset,
)
from bacl.models.losses import FCBL
from mmengine.dataset import BaseDataset, RepeatDataset
from torch import nn


class Dataset(BaseDataset):
    def load_data_list(self):
        return [dict(x=1)]


def dataset(num_classes):
    return Dataset(metainfo=dict(classes=tuple('abcdef'[:num_classes])), ann_file='x.json',
                   serialize_data=False)


def model(head=3, loss=3, rpn=1):
    box_head = nn.Module()
    box_head.num_classes = head
    box_head.loss_cls = FCBL(loss)
    rpn_head = nn.Module()
    rpn_head.num_classes = rpn
    return nn.ModuleDict(dict(bbox_head=box_head, rpn_head=rpn_head))


def test_equal_numbers_pass_also_through_wrappers_and_beside_an_rpn():
    check_class_counts(model(), RepeatDataset(dataset(3), 2))


@pytest.mark.parametrize('head, loss, data', [(4, 3, 3), (3, 4, 3), (3, 3, 4)])
def test_a_difference_names_all_numbers(head, loss, data):
    with pytest.raises(ValueError) as error:
        check_class_counts(model(head, loss), dataset(data))
    for text in (f'has {data} classes (x.json)', f'bbox_head (Module): {head}',
                 f'bbox_head.loss_cls (FCBL): {loss}',
                 f'bbox_head.loss_cls.indicator (ConfusionMatrix): {loss}'):
        assert text in str(error.value)


@pytest.mark.parametrize('path', ['backbone', 'backbone.stem', 'rpn_head.stages', 'semantic_head',
                                  'panoptic_fusion_head', 'student.backbone'])
def test_parts_that_tell_other_things_apart_pass(path):
    detector = part = model()
    for name in path.split('.'):
        part.add_module(name, nn.Module())
        part = part.get_submodule(name)
    part.num_classes = 1000
    check_class_counts(detector, dataset(3))
    detector['roi_head'] = nn.Module()
    detector['roi_head'].num_classes = 1000
    with pytest.raises(ValueError, match='1000'):
        check_class_counts(detector, dataset(3))


@pytest.mark.parametrize('data', [
    Dataset(serialize_data=False), SimpleNamespace(), SimpleNamespace(metainfo=None)])
def test_dataset_without_class_names_passes(data):
    check_class_counts(model(), data)


def test_number_that_is_left_open_passes():
    check_class_counts(model(head=None), dataset(3))


def test_innermost_dataset_stops_at_a_dataset():
    inner = dataset(2)
    assert innermost_dataset(SimpleNamespace(dataset=SimpleNamespace(dataset=inner))) is inner


def test_order_is_checked_only_between_known_names():
    check_class_order(dataset(3), ('a', 'b', 'c'), 'x')
    check_class_order(dataset(3), None, 'x')
    check_class_order(SimpleNamespace(metainfo={}), ('a', 'b', 'c'), 'x')
    with pytest.raises(ValueError, match=r"Label 2 is 'c' in x\.json, but 'd' in train\.json"):
        check_class_order(RepeatDataset(dataset(3), 2), ['a', 'b', 'd'], 'train.json')
