import random

import numpy as np
import pytest
from bacl.datasets import ImageLevelMosaic, LoadCoarseBox
from mmdet.registry import DATASETS


def pipeline(*transforms, **kwargs):
    return [dict(type='LoadImageFromFile'), dict(type='LoadCoarseBox', **kwargs), *transforms]


@pytest.mark.parametrize(('kwargs', 'box'), [
    (dict(rule='whole'), [0, 0, 30, 20]),
    (dict(rule='centre', centre_ratio=0.5), [7.5, 5, 22.5, 15]),
    (dict(rule='region'), [1, 2, 3, 4]),
])
def test_a_rule_gives_a_box_with_the_label_of_the_image(build, kwargs, box):
    sample = build('acorn/a.jpg\tacorn\t1\t2\t3\t4', pipeline(**kwargs))[0]
    assert sample['gt_bboxes'].tensor.tolist() == [box]
    assert sample['gt_bboxes_labels'].tolist() == [1]


def test_a_region_ends_at_the_border_and_none_is_beyond(build):
    sample = build('acorn/a.jpg\tacorn\t-1\t2\t33\t40', pipeline(rule='region'))[0]
    assert sample['gt_bboxes'].tensor.tolist() == [[0, 2, 30, 20]]
    with pytest.raises(ValueError, match=r'inside .*a\.jpg, which is 30 x 20 pixels, got'):
        build('acorn/a.jpg\tacorn\t31\t2\t33\t4', pipeline(rule='region'))[0]


def test_without_a_region_the_rule_region_is_refused(build):
    with pytest.raises(ValueError, match=r"rule='region'.*a\.jpg.*'whole'"):
        build('acorn/a.jpg\tacorn', pipeline(rule='region'))[0]


def test_arguments_are_checked():
    with pytest.raises(ValueError, match='rule='):
        LoadCoarseBox(rule='corner')
    with pytest.raises(ValueError, match='centre_ratio='):
        LoadCoarseBox(centre_ratio=0)


def test_the_packed_sample_says_where_it_is_from(build):
    sample = build(None, pipeline(
        dict(type='RandomFlip', prob=1.0),
        dict(type='PackDetInputs', meta_keys=('img_path', 'flip', 'source'))))[2]
    packed = sample['data_samples']
    assert packed.source == 'image_level' and packed.flip
    assert packed.gt_instances.labels.tolist() == [2]


def test_a_mosaic_draws_images_that_there_are_and_moves_their_boxes(build, tmp_path):
    dataset = DATASETS.build(dict(
        type='MultiImageMixDataset', dataset=dict(
            type='ImageLevelDataset', data_root=str(tmp_path), ann_file='single',
            class_file='annotations/lvis_v1_train.json', pipeline=pipeline()),
        pipeline=[dict(type='ImageLevelMosaic', img_scale=(30, 30)),
                  dict(type='PackDetInputs', meta_keys=('source',))]))
    random.seed(0)
    drawn = {index for _ in range(50) for index in ImageLevelMosaic().get_indexes(dataset)}
    assert drawn == {0, 1, 2}
    packed = dataset[0]['data_samples']
    boxes = packed.gt_instances.bboxes.numpy()
    assert packed.source == 'image_level' and len(boxes) == len(packed.gt_instances.labels) == 4
    assert (boxes >= 0).all() and (boxes <= 60).all()
    np.testing.assert_allclose((boxes[:, 2:] - boxes[:, :2]).min(0) > 0, True)
