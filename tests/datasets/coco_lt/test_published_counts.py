import bacl  # noqa: F401
import numpy as np
from bacl.datasets.coco_lt import COCO_LT, lt_groups
from mmdet.datasets import CocoDataset


def test_classes_are_those_of_coco():
    assert sorted(COCO_LT.of_class) == sorted(CocoDataset.METAINFO['classes'])


def test_groups_have_the_published_sizes():
    # README of github.com/twangnh/SimCal.
    instances = [instances for instances, _ in COCO_LT.of_class.values()]
    assert np.bincount(lt_groups(instances)).tolist() == [0, 4, 24, 32, 20]


def test_counts_add_up_and_are_possible():
    counts = np.array(list(COCO_LT.of_class.values()))
    assert counts[:, 0].sum() == 666493
    assert (counts[:, 0] >= counts[:, 1]).all() and (counts[:, 1] > 0).all()
    assert counts[:, 1].max() <= COCO_LT.num_images == 99411
    assert (np.diff(counts[:, 0]) <= 0).all()
