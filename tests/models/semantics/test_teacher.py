import bacl  # noqa: F401
import pytest
import torch
from bacl.models.semantics import RandomTeacher
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData

NAMES = ('fire_engine', 'dog', 'cat')


def sample(boxes, **metainfo):
    data = DetDataSample(metainfo=dict(img_path='a.jpg', img_shape=(32, 32), **metainfo))
    data.gt_instances = InstanceData(bboxes=torch.tensor(boxes, dtype=torch.float32).view(-1, 4))
    return data


@pytest.fixture
def teacher(monkeypatch):
    """Caches boxes of detection data and counts how many it embeds."""
    teacher = RandomTeacher(cached_sources=('detection',))
    teacher.set_classes(NAMES)
    teacher.num_embedded = 0
    embed = teacher.embed_boxes

    def count(images, boxes):
        teacher.num_embedded += sum(map(len, boxes))
        return embed(images, boxes)

    monkeypatch.setattr(teacher, 'embed_boxes', count)
    return teacher


IMAGES = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
BOXES = [[0, 0, 10, 10], [5, 5, 30, 30], [0, 0, 10, 10]]  # two are the same


@pytest.mark.parametrize('kwargs', [dict(cached_sources='detection'), dict(cache_file='a.sqlite')])
def test_what_would_keep_nothing_is_refused(kwargs):
    with pytest.raises(ValueError, match=r"cached_sources=.* Name them, .* cache_file=None"):
        RandomTeacher(**kwargs)


def test_logits_of_each_image_are_scaled_cosines(teacher):
    first, second = teacher(IMAGES, [sample(BOXES), sample([])])
    assert first.shape == (3, 3) and second.shape == (0, 3)
    assert first.abs().max() <= teacher.scale and not first.requires_grad
    assert torch.equal(first[0], first[2]) and not torch.equal(first[0], first[1])
    again = RandomTeacher()
    again.set_classes(NAMES)
    torch.testing.assert_close(again(IMAGES, [sample(BOXES), sample([])])[0], first)


def test_boxes_are_embedded_once_where_images_do_not_change(teacher):
    first = teacher(IMAGES[:1], [sample(BOXES)])[0]
    assert torch.equal(teacher(IMAGES[:1], [sample(BOXES)])[0], first)
    assert teacher.num_embedded == 3
    for meta in ({}, dict(flip_direction='horizontal')):  # whatever its meta data say of it
        flipped = teacher(IMAGES[:1].flip(3), [sample(BOXES, **meta)])[0]
        assert teacher.num_embedded == 6 and not torch.equal(flipped, first)


def test_what_is_kept_does_not_depend_on_the_batch(teacher):
    image = torch.nn.functional.pad(IMAGES[:1], (0, 32, 0, 0))  # beside a wider one
    at_the_border = sample([[8, 8, 32, 32]])
    padded = teacher(image, [at_the_border])[0]
    again = RandomTeacher(cached_sources=('detection',))
    again.set_classes(NAMES)
    assert torch.equal(again(IMAGES[:1], [at_the_border])[0], padded)


def test_boxes_of_other_sources_are_always_embedded_anew(teacher):
    for count in (3, 6):
        teacher(IMAGES[:1], [sample(BOXES, source='image_level')])
        assert teacher.num_embedded == count


def test_it_is_frozen_and_stays_in_evaluation_mode(teacher):
    assert not teacher.train().training
    assert not any(parameter.requires_grad for parameter in teacher.parameters())


@pytest.mark.parametrize(('names', 'fault'), [
    (('dog', ''), "''"), (('dog', '_'), "'_'"),
    (('hot_dog', 'cat', 'Hot  dog'), "'hot_dog', 'Hot")])
def test_names_that_say_nothing_or_the_same_are_refused(names, fault):
    with pytest.raises(ValueError, match=f'differ as text, got {fault}'):
        RandomTeacher().set_classes(names)


def test_a_scale_has_to_be_positive():
    with pytest.raises(ValueError, match=r'RandomTeacher\(scale=\) expects a number > 0, got 0'):
        RandomTeacher(scale=0)


def test_what_it_knows_of_the_classes_goes_where_it_goes(teacher):
    assert teacher.to('meta').class_embeddings.is_meta
