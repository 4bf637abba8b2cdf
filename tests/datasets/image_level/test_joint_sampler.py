from itertools import islice

import pytest
from bacl.datasets import JointDataset, JointSampler
from mmdet.registry import DATA_SAMPLERS
from mmengine.dataset import Compose
from mmengine.dataset import sampler as mmengine_sampler


@pytest.fixture
def joint(tmp_path, images):
    """Five images of detection and three image-level ones: indices 0 to 4 and 5 to 7."""
    detection = dict(type='LongTailLVISV1Dataset', data_root=str(tmp_path), pipeline=[],
                     ann_file='annotations/lvis_v1_train.json', data_prefix=dict(img=''))
    single = dict(type='ImageLevelDataset', data_root=str(tmp_path), ann_file='single',
                  pipeline=[], class_file='annotations/lvis_v1_train.json')
    return JointDataset([detection, single])


def epochs(sampler, number=2):
    drawn = []
    for epoch in range(number):
        sampler.set_epoch(epoch)
        drawn.append(list(sampler))
    return drawn


def test_the_classes_are_those_of_the_detection_data(joint, tmp_path):
    table = joint.class_table()
    assert table.image_count.tolist() == [2, 4, 1]  # image-level data do not count
    assert joint.metainfo['classes'] == table.names
    wrapped = JointDataset([dict(type='ClassBalancedDataset', oversample_thr=0.1,
                                 dataset=dict(type='LongTailLVISV1Dataset', pipeline=[],
                                              data_root=str(tmp_path), data_prefix=dict(img=''),
                                              ann_file='annotations/lvis_v1_train.json'))])
    assert wrapped.class_table().names == table.names


def test_what_does_not_fit_together_is_refused(joint, tmp_path):
    single = dict(type='ImageLevelDataset', data_root=str(tmp_path), ann_file='single',
                  pipeline=[], class_file='annotations/lvis_v1_train.json')
    with pytest.raises(TypeError, match='class_table.*ImageLevelDataset'):
        JointDataset([single])
    with pytest.raises(TypeError, match='expects a JointDataset, got list'):
        JointSampler([], (1, 1))
    for numbers in ((1,), (0, 1), (1, -1), (1., 1), (2, 1.5)):
        with pytest.raises(ValueError, match='samples_per_round='):
            JointSampler(joint, numbers)
    with pytest.raises(ValueError, match='samplers='):
        JointSampler(joint, (1, 1), samplers=[dict(type='DefaultSampler')])
    with pytest.raises(ValueError, match='as many images on every rank.* round_up=False'):
        JointSampler(joint, (1, 1), samplers=[dict(type='DefaultSampler', round_up=False),
                                              dict(type='DefaultSampler')])


def test_batches_of_both_alternate_and_an_epoch_sees_the_detection_data(joint):
    sampler = JointSampler(joint, (2, 2), seed=0)
    first, second = epochs(sampler)
    assert len(first) == len(sampler) == 12
    for drawn in (first, second):
        pairs = list(zip(drawn[::2], drawn[1::2], strict=True))
        assert all(max(pair) < 5 for pair in pairs[::2])
        assert all(min(pair) >= 5 for pair in pairs[1::2])
        assert {index for index in drawn if index < 5} == set(range(5))
    assert first != second


def test_every_image_is_seen_as_often_whatever_the_ratio(joint):
    # 3 epochs of 5 rounds of one: 15 image-level images, each of the three five times.
    drawn = [index for epoch in epochs(JointSampler(joint, (1, 1), seed=0), 3) for index in epoch]
    assert [drawn.count(index) for index in range(8)] == [3] * 5 + [5] * 3
    drawn = [index for epoch in epochs(JointSampler(joint, (5, 1), seed=0), 3) for index in epoch]
    assert [drawn.count(index) for index in range(8)] == [3] * 5 + [1] * 3


def test_datasets_of_one_size_have_orders_of_their_own(joint):
    joint = JointDataset([joint.datasets[0]] * 2)
    sampler = JointSampler(joint, (1, 1), seed=0)
    for _ in range(2):
        for drawn in epochs(sampler, 3):
            assert drawn[::2] != [index - 5 for index in drawn[1::2]]
        sampler.seed = 4


def test_an_epoch_depends_on_seed_and_number_alone(joint):
    resumed = JointSampler(joint, (2, 1), seed=3)
    resumed.set_epoch(1)
    assert list(resumed) == epochs(JointSampler(joint, (2, 1), seed=3))[1]
    reseeded = JointSampler(joint, (2, 1), seed=0)
    reseeded.seed = 3  # as SeedHook does
    assert epochs(reseeded) == epochs(JointSampler(joint, (2, 1), seed=3))
    assert epochs(reseeded) != epochs(JointSampler(joint, (2, 1), seed=4))


def test_ranks_draw_different_images_of_one_order(joint, monkeypatch):
    ranks = []
    for rank in range(2):
        monkeypatch.setattr(mmengine_sampler, 'get_dist_info', lambda rank=rank: (rank, 2))
        ranks.append(epochs(JointSampler(joint, (1, 1), seed=0), 1)[0])
    assert len(ranks[0]) == len(ranks[1]) == 6
    detection = [index for pair in zip(*ranks, strict=True) for index in pair if index < 5]
    assert set(detection) == set(range(5))
    # Of three image-level images two ranks see a different one in each round.
    assert all(a != b for a, b in islice(zip(*ranks, strict=True), 1, 2))


def test_the_samplers_of_the_parts_can_be_chosen(joint):
    rare_first = [dict(type='RepeatFactorSampler', oversample_thr=0.9),
                  dict(type='DefaultSampler', shuffle=False)]
    drawn = epochs(JointSampler(joint, (2, 1), samplers=rare_first, seed=0), 1)[0]
    assert [index for index in drawn if index >= 5][:4] == [5, 6, 7, 5]
    assert len([index for index in drawn if index < 5]) > 5


def test_classes_can_be_drawn_evenly(joint):
    alone = DATA_SAMPLERS.build(dict(type='ClassAwareSampler', dataset=joint.datasets[0], seed=3))
    sampler = JointSampler(joint, (5, 2), seed=3, samplers=[
        dict(type='ClassAwareSampler'), dict(type='DefaultSampler')])
    found = [[index for index in epoch if index < 5] for epoch in epochs(sampler, 3)]
    assert found == epochs(alone, 3)  # and so as without the pictures
    assert found[0] != found[1]


def test_images_that_do_not_say_their_source_are_refused(joint):
    transforms = [dict(type='LoadImageFromFile'), dict(type='LoadCoarseBox')]
    for keys in ((), ('source',)):
        joint.datasets[1].pipeline = Compose([*transforms, dict(
            type='PackDetInputs', meta_keys=('img_path', *keys))])
        if keys:
            assert joint[5]['data_samples'].source == 'image_level'
        else:
            with pytest.raises(ValueError, match=r"'source', got .*\.(jpg|png) without.*meta_keys"):
                joint[5]
