"""Images without boxes in a training that cannot use them."""
from types import SimpleNamespace

import pytest
from bacl.engine.checking.image_level_checks import check_image_level_data
from mmengine.dataset import BaseDataset, ConcatDataset, RepeatDataset
from torch import nn


class Detection(BaseDataset):
    def load_data_list(self):
        return [dict(label=0)]


class Pictures(BaseDataset):
    """An image-level dataset whose pictures have these classes."""

    source = 'image_level'

    def __init__(self, *labels):
        self.labels = labels
        super().__init__()

    def load_data_list(self):
        return [dict(label=label) for label in self.labels]

    def get_cat_ids(self, index):
        label = self.get_data_info(index)['label']
        return [label] if label >= 0 else []


def joint(*labels):
    return SimpleNamespace(dataset=ConcatDataset([Detection(), Pictures(*labels)]))  # a wrapper


def model(**attributes):
    module = nn.Module()
    vars(module).update(attributes)
    return module


def test_a_model_that_cannot_tell_coarse_boxes_gets_none():
    check_image_level_data(model(), RepeatDataset(Detection(), times=2))
    with pytest.raises(ValueError, match=r'Pictures has coarse boxes .* Module .* RichSemDINO'):
        check_image_level_data(model(), joint(0))


@pytest.mark.parametrize(('labels', 'needs_labels', 'is_refused'), [
    ((-1, 1), True, False), ((-1, -1), True, True), ((-1, -1), False, False)])
def test_images_of_no_class_need_something_that_learns_from_them(labels, needs_labels, is_refused):
    if not is_refused:
        check_image_level_data(model(needs_image_labels=needs_labels), joint(*labels))
        return
    for attributes, cure in (({}, r'with_labels=True, or name the classes in its data\.$'),
                             ({'semantic_branch': None}, 'or give the head a semantic_branch')):
        with pytest.raises(ValueError, match=rf'not one image with a class.* {cure}'):
            check_image_level_data(
                model(needs_image_labels=needs_labels, **attributes), joint(*labels))
