"""Independent references, and random data with all that makes evaluation hard."""
import copy
import json

import numpy as np
import pytest
from faster_coco_eval import mask as mask_utils

SIDE = 160
NAMES = ('AP', 'AP50', 'AP75', 'APs', 'APm', 'APl', 'APr', 'APc', 'APf')


@pytest.fixture(scope='session')
def evaluate_by_lvis_api():
    """lvis-api 0.5.3; its -1 for "nothing to average" becomes NaN, its crash on no results 0."""
    lvis = pytest.importorskip('lvis')

    def evaluate(ann_file, records, iou_type='bbox', max_dets=300):
        records = [dict(record) for record in records]  # lvis-api writes into them
        with pytest.MonkeyPatch.context() as patch:
            # The alias is gone since NumPy 1.24; the name is looked up while evaluating.
            patch.setattr(np, 'float', float, raising=False)
            gt = lvis.LVIS(str(ann_file))
            evaluation = lvis.LVISEval(gt, lvis.LVISResults(gt, records, max_dets), iou_type)
            evaluation.params.max_dets = max_dets
            evaluation.run()
        results = {name: float(evaluation.results[name]) for name in NAMES}
        precision = evaluation.eval['precision']
        return ({k: float('nan') if v == -1 else v for k, v in results.items()},
                np.where(precision < 0, np.nan, precision))

    return evaluate


@pytest.fixture(scope='session')
def evaluate_by_loops():
    """Fixed and pooled AP as plain loops over plain records."""

    def evaluate(data, records, iou_type='bbox', max_dets_per_class=10_000):
        categories = sorted(data['categories'], key=lambda category: category['id'])
        by_box = iou_type == 'bbox' or 'bbox' in records[0]
        kept = []
        for category in categories:
            of_category = [r for r in records if r['category_id'] == category['id']]
            kept += sorted(of_category, key=lambda r: -r['score'])[:max_dets_per_class]
        # Of each IoU, size and category: right and wrong detections in the order of the images.
        found = {(iou, size): {c['id']: [] for c in categories} for iou in IOUS for size in SIZES}
        wanted = {(size, c['id']): 0 for size in SIZES for c in categories}
        for place, image in enumerate(sorted(data['images'], key=lambda image: image['id'])):
            for category_id in [category['id'] for category in categories]:
                objects = [a for a in data['annotations'] if a['image_id'] == image['id']
                           and a['category_id'] == category_id and a['area'] > 0]
                if not objects and category_id not in image['neg_category_ids']:
                    continue
                here = [r for r in kept if r['image_id'] == image['id']
                        and r['category_id'] == category_id]
                areas = [r['bbox'][2] * r['bbox'][3] if by_box else
                         pixels(r['segmentation']).sum() for r in here]
                here = [(r, area) for r, area in zip(here, areas, strict=True) if area > 0]
                overlaps = [[overlap_of(r, a, iou_type) for a in objects] for r, _ in here]
                partly = category_id in image['not_exhaustive_category_ids']
                for size, (low, high) in SIZES.items():
                    is_ignored = [bool(a.get('ignore')) or not low <= a['area'] <= high
                                  for a in objects]
                    wanted[size, category_id] += is_ignored.count(False)
                    for iou in IOUS:
                        taken = set()
                        for (record, area), overlap in zip(here, overlaps, strict=True):
                            match = best_object(overlap, is_ignored, taken, iou)
                            taken.add(match)
                            ignored = is_ignored[match] if match is not None else (
                                partly or not low <= area <= high)
                            if not ignored:
                                found[iou, size][category_id].append(
                                    (-record['score'], place, match is not None))
        pools = {category['id']: [category['id']] for category in categories}
        pools |= {name: [c['id'] for c in categories if name in ('all', c['frequency'])]
                  for name in ('all', *'rcf')}
        curves = {(*key, pool): curve_mean(
            [entry for category_id in members for entry in found[key][category_id]],
            sum(wanted[key[1], category_id] for category_id in members))
            for key in found for pool, members in pools.items()}
        ids = {group: [c['id'] for c in categories if group in ('all', c['frequency'])]
               for group in ('all', *'rcf')}

        def mean(pool_of, size='all', group='all', ious=IOUS):
            values = [curves[iou, size, pool] for iou in ious for pool in pool_of(group)]
            values = [value for value in values if not np.isnan(value)]
            return sum(values) / len(values) if values else float('nan')

        return {
            f'{prefix}{name}': mean(pool_of, **options)
            for prefix, pool_of in (('fixed_', ids.get), ('pooled_', lambda group: [group]))
            for name, options in (
                ('AP', {}), ('AP50', dict(ious=IOUS[:1])), ('AP75', dict(ious=IOUS[5:6])),
                *((f'AP{size[0]}', dict(size=size)) for size in ('small', 'medium', 'large')),
                *((f'AP{group}', dict(group=group)) for group in 'rcf'))}

    return evaluate


IOUS = [0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95]
SIZES = {'all': (0, 1e10), 'small': (0, 32**2), 'medium': (32**2, 96**2), 'large': (96**2, 1e10)}


def best_object(overlap, is_ignored, taken, iou):
    """Place of the free object with the largest overlap; one to be found, if there is any."""
    best, place = (False, iou), None
    for index, value in enumerate(overlap):
        merit = (not is_ignored[index], value)
        if index not in taken and value >= iou and merit >= best:
            best, place = merit, index
    return place


def overlap_of(record, annotation, iou_type):
    if iou_type == 'segm':
        one, other = pixels(record['segmentation']), pixels(annotation['segmentation'])
        return (one & other).sum() / (one | other).sum()
    (x, y, w, h), (a, b, c, d) = record['bbox'], annotation['bbox']
    common = max(min(x + w, a + c) - max(x, a), 0) * max(min(y + h, b + d) - max(y, b), 0)
    return common / (w * h + c * d - common)


def pixels(segmentation):
    """The mask of a polygon or a run-length encoding."""
    if isinstance(segmentation, list):
        segmentation = mask_utils.merge(mask_utils.frPyObjects(segmentation, SIDE, SIDE))
    return mask_utils.decode(segmentation).astype(bool)


def curve_mean(entries, num_wanted):
    """Mean over 101 recalls of the best precision at that recall or a higher one."""
    if not num_wanted:
        return float('nan')
    points, num_right = [], 0
    for number, (_, _, right) in enumerate(sorted(entries, key=lambda entry: entry[:2]), start=1):
        num_right += right
        points.append((num_right / num_wanted, num_right / number))
    return sum(max((precision for recall, precision in points if recall >= wanted), default=0)
               for wanted in np.linspace(0, 1, 101)) / 101


@pytest.fixture(scope='session')
def make_lvis():
    """A function that draws annotations and detections."""

    def make(seed, num_images=20, dets_per_image=40):
        rng = np.random.default_rng(seed)
        # Ids neither contiguous nor sorted, as mmdet's label order is that of the file.
        ids = (rng.permutation(7) * 5 + 2).tolist()
        categories = [{'id': i, 'name': f'thing {i}', 'frequency': f}
                      for i, f in zip(ids, 'rcfrcff', strict=True)]
        images, annotations, records = [], [], []
        for image_id in rng.permutation(num_images) * 3 + 1:
            image_id = int(image_id)
            labels = rng.permutation(ids)
            positive, negative = labels[:rng.integers(0, 4)], labels[4:5 + rng.integers(0, 3)]
            images.append({
                'id': image_id, 'height': SIDE, 'width': SIDE,
                'neg_category_ids': [int(i) for i in negative],
                'not_exhaustive_category_ids':
                    [int(i) for i in labels if rng.random() < 0.25],
            })
            for category_id in rng.permutation(np.repeat(positive, rng.integers(1, 4))):
                box, mask, polygon = draw_region(rng)
                annotations.append({
                    'id': len(annotations) + 1, 'image_id': image_id,
                    'category_id': int(category_id), 'bbox': box,
                    'area': float(mask_utils.area([mask])[0]),
                    'segmentation': polygon if rng.random() < 0.5 else mask,
                    # Crowds do not exist in LVIS, where the flag means nothing.
                    'iscrowd': int(rng.random() < 0.1),
                })
                if rng.random() < 0.1:
                    annotations[-1]['ignore'] = 1
                if rng.random() < 0.05:
                    annotations[-1]['area'] = 0.
            here = [a for a in annotations if a['image_id'] == image_id]
            # Some images have no detection, some more than any cap of the tests.
            for _ in range(rng.choice([0, dets_per_image, 2 * dets_per_image])):
                near = here[rng.integers(len(here))] if here and rng.random() < 0.7 else None
                box, mask, _ = draw_region(rng, near['bbox'] if near else None)
                right = near is not None and rng.random() < 0.8
                records.append({
                    'image_id': image_id,
                    'category_id': near['category_id'] if right else int(rng.choice(ids)),
                    'bbox': box, 'segmentation': mask,
                    'score': float(rng.integers(1, 20)) / 20,  # many ties
                })
                if rng.random() < 0.03:
                    records[-1]['bbox'] = box[:3] + [0.]
        order = rng.permutation(len(records))
        return ({'images': images, 'annotations': annotations, 'categories': categories},
                [records[i] for i in order])

    return make


def draw_region(rng, near=None):
    """A box (x, y, w, h), an ellipse in it as run-length encoding, and one as polygon."""
    if near is None:
        # Squarish, so that small, medium and large are about equally frequent.
        width, height = np.exp(rng.uniform(np.log(10), np.log(150))) * rng.uniform(0.9, 1.05, 2)
        x, y = rng.uniform(0, SIDE - width), rng.uniform(0, SIDE - height)
    else:
        x, y, width, height = near + rng.normal(size=4) * 0.08 * max(near[2:])
        width, height = max(width, 2), max(height, 2)
    angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    points = [x, y] + np.stack([1 + np.cos(angle), 1 + np.sin(angle)], 1) * [width / 2, height / 2]
    polygon = [points.clip(0, SIDE).ravel().tolist()]
    rle = mask_utils.merge(mask_utils.frPyObjects(polygon, SIDE, SIDE))
    counts = rle['counts'].decode() if isinstance(rle['counts'], bytes) else rle['counts']
    box = [float(x), float(y), float(width), float(height)]
    return box, {'size': [SIDE, SIDE], 'counts': counts}, polygon


@pytest.fixture(scope='session')
def evaluate_by_pycocotools():
    """Precision (10, 101, C, 4) by pycocotools at one cap; its -1 becomes NaN."""
    pycocotools = pytest.importorskip('pycocotools.cocoeval')
    from pycocotools.coco import COCO

    def evaluate(data, records, iou_type='bbox', max_dets=100):
        if iou_type == 'segm':
            records = [{k: v for k, v in record.items() if k != 'bbox'} for record in records]
        gt = COCO()
        gt.dataset = copy.deepcopy(data)  # pycocotools writes into it
        gt.createIndex()
        evaluation = pycocotools.COCOeval(gt, gt.loadRes(copy.deepcopy(records)), iou_type)
        evaluation.params.maxDets = [max_dets]
        evaluation.evaluate()
        evaluation.accumulate()
        precision = evaluation.eval['precision'][..., 0]
        return np.where(precision < 0, np.nan, precision)

    return evaluate


@pytest.fixture(scope='session')
def make_coco(make_lvis):
    """A function that draws annotations and detections, with crowds as COCO has them."""

    def make(seed, **kwargs):
        data, records = make_lvis(seed, **kwargs)
        for image in data['images']:
            del image['neg_category_ids'], image['not_exhaustive_category_ids']
        for category in data['categories']:
            del category['frequency']
        for annotation in data['annotations']:
            if annotation['iscrowd']:
                annotation['segmentation'] = uncompressed(annotation['segmentation'])
        return data, records

    return make


def uncompressed(segmentation):
    """The run-length encoding of a region with the lengths as a list."""
    if isinstance(segmentation, list):
        segmentation = mask_utils.merge(mask_utils.frPyObjects(segmentation, SIDE, SIDE))
    pixels = mask_utils.decode(segmentation).ravel(order='F')
    borders = np.flatnonzero(np.diff(pixels, prepend=0, append=1 - pixels[-1]))
    return {'size': [SIDE, SIDE], 'counts': np.diff(borders, prepend=0).tolist()}


@pytest.fixture
def write_json(tmp_path):
    """A function that writes data to a new file and returns its path."""

    def write(data, name='lvis.json'):
        path = tmp_path / name
        path.write_text(json.dumps(data))
        return path

    return write
