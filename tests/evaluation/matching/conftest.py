import numpy as np
import pytest
from bacl.evaluation.matching import EncodedMasks, Matching


@pytest.fixture
def make_matching():
    """A function that draws ground truth and detections of 9 categories, some without either."""

    def make(seed, with_masks=False):
        rng = np.random.default_rng(seed)
        num_objects = np.array([3, 0, 40, 1, 0, 12, 7, 25, 1])
        num_detections = np.array([9, 5, 300, 0, 0, 40, 60, 1, 30])
        object_boxes, objects = draw(rng, num_objects.sum())
        objects['is_crowd'] = rng.random(num_objects.sum()) < 0.1
        boxes, detections = draw(rng, num_detections.sum())
        # Half of the detections lie near an object.
        source = rng.integers(0, len(object_boxes), len(boxes))
        near = rng.random(len(boxes)) < 0.5
        boxes[near] = object_boxes[source[near]] + rng.integers(0, 4, (near.sum(), 4))
        detections['image_id'][near] = objects['image_id'][source[near]]
        detections['score'] = rng.integers(1, 9, len(boxes)) / 8
        detections['is_ignored_if_unmatched'] = detections['image_id'] % 5 == 0
        for columns, region in ((objects, object_boxes), (detections, boxes)):
            columns['region'] = as_masks(region) if with_masks else region
            columns['area'] = region[:, 2] * region[:, 3]
        return Matching(objects, offsets(num_objects), detections, offsets(num_detections), 100)

    return make


def draw(rng, count):
    sides = rng.integers(5, 60, (count, 2))
    boxes = np.concatenate([rng.integers(0, 60, (count, 2)), sides], axis=1).astype(float)
    return boxes, {'image_id': rng.integers(-3, 9, count) * 7}


def offsets(counts):
    return np.concatenate([[0], np.cumsum(counts)])


def as_masks(boxes):
    from faster_coco_eval import mask as mask_utils
    return EncodedMasks.from_rles(mask_utils.frPyObjects(boxes, 130, 130))
