"""Random annotations and detections with all that makes matching hard."""
import numpy as np
import pytest
from bacl.evaluation import Detections


def make_detections(records):
    """Detections of tuples (image id, category id, score, (x, y, w, h))."""
    box = np.array([record[3] for record in records], dtype=float).reshape(-1, 4)
    return Detections(np.array([r[0] for r in records], dtype=np.int64),
                      np.array([r[1] for r in records], dtype=np.int64),
                      np.array([r[2] for r in records], dtype=float),
                      box[:, 2] * box[:, 3], box)


@pytest.fixture(scope='session')
def detections_of():
    return make_detections


@pytest.fixture(scope='session')
def draw_data():
    """A function that draws annotations, in LVIS and COCO format at once, and detections."""

    def draw(seed, num_images=8, num_dets=40, num_classes=5):
        rng = np.random.default_rng(seed)
        # Ids neither contiguous nor sorted; a grid of few pixels, so that IoUs and scores tie.
        ids = (rng.permutation(num_classes) * 3 + 2).tolist()
        categories = [{'id': i, 'name': f'thing {i}', 'frequency': 'rcf'[k % 3]}
                      for k, i in enumerate(ids)]
        images, annotations, records = [], [], []
        for image_id in (rng.permutation(num_images) * 2 + 1).tolist():
            labels = rng.permutation(ids).tolist()
            positive, negative = labels[:rng.integers(0, 4)], labels[4:4 + rng.integers(0, 3)]
            images.append({'id': image_id, 'neg_category_ids': [*negative, 999],
                           'not_exhaustive_category_ids':
                               [i for i in labels if rng.random() < 0.25]})
            here = []
            for category_id in np.repeat(positive, rng.integers(1, 4)).tolist():
                box = [*rng.integers(0, 12, 2).tolist(), *rng.integers(3, 9, 2).tolist()]
                area = float(box[2] * box[3])
                here.append({
                    'id': len(annotations) + len(here) + 1, 'image_id': image_id,
                    'category_id': category_id, 'bbox': box,
                    'area': 2e10 if rng.random() < 0.03 else area,
                    'iscrowd': int(rng.random() < 0.15)})
                if rng.random() < 0.15:
                    here[-1]['ignore'] = 1
            annotations += here
            for _ in range(rng.choice([0, num_dets, 2 * num_dets])):
                box = rng.integers(1, 12, 4).tolist()
                category_id = int(rng.choice(ids))
                if here and rng.random() < 0.8:
                    near = here[rng.integers(len(here))]
                    box = (np.array(near['bbox']) + rng.integers(-1, 2, 4)).tolist()
                    if rng.random() < 0.8:
                        category_id = near['category_id']
                if rng.random() < 0.03:
                    box[3] = 0
                records.append((image_id, category_id, int(rng.integers(1, 20)) / 20, box))
        order = rng.permutation(len(records))
        return ({'images': images, 'annotations': annotations, 'categories': categories},
                make_detections([records[i] for i in order]))

    return draw
