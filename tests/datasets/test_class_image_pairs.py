from collections import Counter

import pytest
from bacl.datasets import ClassImagePairs
from mmdet.registry import DATASETS

PIPELINE = [dict(type='LoadAnnotations', with_bbox=True), dict(type='PackDetInputs', meta_keys=())]


@pytest.fixture
def pairs(make_lvis):
    root = make_lvis('v1')
    return DATASETS.build(dict(type='ClassImagePairs', dataset=dict(
        type='LongTailLVISV1Dataset', data_root=str(root),
        ann_file='annotations/lvis_v1_train.json', data_prefix=dict(img=''),
        filter_cfg=dict(filter_empty_gt=True),
        pipeline=[dict(type='LoadImageFromFile'), *PIPELINE])))


def test_every_class_is_paired_with_each_image_that_shows_it(pairs):
    # Labels yoke, acorn and zebra; the classes of each image as in conftest.py.
    found = Counter(zip(pairs.labels.tolist(), pairs.images.tolist(), strict=True))
    assert found == Counter([(0, 0), (0, 2), (1, 0), (1, 1), (1, 3), (2, 1)])
    assert pairs.num_images.tolist() == [2, 3, 1] and len(pairs) == 6
    assert pairs.labels.tolist() == sorted(pairs.labels)
    assert pairs.metainfo['classes'] == ('yoke', 'acorn', 'zebra')


def test_a_sample_is_that_of_the_image_and_says_the_class(pairs):
    for index in range(len(pairs)):
        sample = pairs[index]
        label = sample['data_samples'].sampled_class
        assert label == pairs.labels[index] and type(label) is int
        assert label in sample['data_samples'].gt_instances.labels
        assert pairs.get_data_info(index)['img_id'] == pairs.images[index] + 1


def test_a_class_of_which_an_image_has_ignored_instances_alone_is_no_pair():
    class Crowds:
        metainfo = dict(classes=('dog', 'cat'))

        def __len__(self):
            return 1

        def get_data_info(self, index):
            return dict(instances=[dict(bbox_label=label, ignore_flag=label) for label in (0, 1)])

    assert ClassImagePairs(Crowds()).labels.tolist() == [0]
