"""CroppedCopyPaste, alone and in the pipelines of the configs, against mmdet's transforms."""
import copy
from pathlib import Path

import bacl  # noqa: F401
import cv2
import numpy as np
import pytest
import torch
from bacl.datasets.transforms import CroppedCopyPaste, CroppedMasks
from hypothesis import given
from hypothesis import strategies as st
from mmcv.transforms import Compose
from mmdet.datasets.transforms import CopyPaste
from mmdet.models import DetDataPreprocessor
from mmdet.registry import TRANSFORMS
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks, PolygonMasks
from mmengine.config import Config

PIPELINES = Path(__file__).parents[3] / 'configs/_base_/datasets/lvis_copy-paste_pipelines.py'
STOCK = {'LoadCroppedMasks': dict(type='LoadAnnotations', with_mask=True),
         'ContiguousRandomFlip': dict(type='RandomFlip'),
         'CroppedCopyPaste': dict(type='CopyPaste')}
HEIGHT, WIDTH = 20, 26


def rectangle(x1: int, y1: int, x2: int, y2: int) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[y1:y2, x1:x2] = 1
    return mask


def sample(masks: list[np.ndarray], seed: int = 0, ignored=(), boxes=None) -> dict:
    masks = BitmapMasks(masks, HEIGHT, WIDTH)
    boxes = masks.get_bboxes('hbox') if boxes is None else HorizontalBoxes(
        np.array(boxes, np.float32))
    return dict(
        img=np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8),
        gt_bboxes=boxes, gt_masks=masks, gt_bboxes_labels=np.arange(len(masks)) + 10 * seed,
        gt_ignore_flags=np.array([i in ignored for i in range(len(masks))], bool))


def as_crops(results: dict) -> dict:
    return dict(results, gt_masks=CroppedMasks(results['gt_masks'].masks, HEIGHT, WIDTH))


def snapshot(results: dict) -> dict:
    return {key: value.tensor.numpy().copy() if key == 'gt_bboxes'
            else value.masks.copy() if key == 'gt_masks' else np.copy(value)
            for key, value in results.items()}


def assert_same_results(ours: dict, theirs: dict) -> None:
    assert ours.keys() == theirs.keys()
    ours, theirs = snapshot(ours), snapshot(theirs)
    for key in theirs:
        if key != 'img':  # mmdet turns it into int64
            assert ours[key].dtype == theirs[key].dtype, key
        np.testing.assert_array_equal(ours[key], theirs[key], err_msg=key)


def paste(dst: dict, src: dict, seed: int = 0, **kwargs) -> dict:
    """Paste with both transforms, with crops and with bitmaps, and return the one result."""
    results, numbers = [], []
    for transform, convert in [(CopyPaste, dict), (CroppedCopyPaste, as_crops),
                               (CroppedCopyPaste, dict)]:
        first, second = (convert(copy.deepcopy(r)) for r in (dst, src))
        inputs = {id(r): (dict(r), snapshot(r)) for r in (first, second)}
        np.random.seed(seed)
        results.append(transform(**kwargs)(dict(first, mix_results=[dict(second)])))
        numbers.append(np.random.random())
        del results[-1]['mix_results']
        if transform is CroppedCopyPaste:
            assert results[-1]['img'].dtype == np.uint8
            for before, values in inputs.values():  # the arrays that came in are as they were
                for key, value in snapshot(before).items():
                    np.testing.assert_array_equal(value, values[key], err_msg=key)
    stock, crops, bitmaps = results
    assert numbers[0] == numbers[1] == numbers[2]
    assert_same_results(crops, stock)
    assert_same_results(bitmaps, stock)
    return crops


masks = st.lists(st.tuples(
    st.integers(0, WIDTH), st.integers(0, HEIGHT), st.integers(0, WIDTH), st.integers(0, HEIGHT)
).map(lambda c: rectangle(min(c[0], c[2]), min(c[1], c[3]), max(c[0], c[2]), max(c[1], c[3]))),
    max_size=5)


@given(dst=masks, src=masks, seed=st.integers(0, 2**31),
       max_num_pasted=st.sampled_from([1, 2, 100]),
       bbox_occluded_thr=st.sampled_from([0, 1, 3, 10]),
       mask_occluded_thr=st.sampled_from([0, 5, 30, 300]), selected=st.booleans(),
       ignored=st.sets(st.integers(0, 4)))
def test_random_rectangles(dst, src, seed, ignored, **kwargs):
    paste(sample(dst, 1, ignored), sample(src, 2, ignored), seed, **kwargs)


@given(seed=st.integers(0, 2**31), density=st.sampled_from([0.01, 0.1, 0.6]))
def test_random_pixels(seed, density):
    rng = np.random.default_rng(seed)
    dst, src = (list((rng.random((4, HEIGHT, WIDTH)) < density).astype(np.uint8)) for _ in '12')
    paste(sample(dst, 1), sample(src, 2), seed, mask_occluded_thr=30)


@pytest.mark.parametrize('dst, src', [
    ([], []), ([], [rectangle(1, 1, 5, 5)]), ([rectangle(1, 1, 5, 5)], []),
    ([rectangle(0, 0, 0, 0)], [rectangle(0, 0, 0, 0)]),  # objects without pixels
    ([rectangle(3, 3, 4, 4)], [rectangle(3, 3, 4, 4)]),  # one pixel upon one pixel
    ([rectangle(0, 0, WIDTH, HEIGHT)], [rectangle(25, 19, 26, 20)])])
def test_nothing_and_next_to_nothing(dst, src):
    paste(sample(dst, 1), sample(src, 2), selected=False)


def test_everything_hidden():
    dst = [rectangle(12, 12, 20, 18), rectangle(14, 13, 26, 20), rectangle(0, 0, 3, 3)]
    pasted = paste(sample(dst, 1), sample([rectangle(0, 0, WIDTH, HEIGHT)], 2), selected=False)
    # The last stays as a box of area 0: its corner moved by three pixels only.
    assert pasted['gt_bboxes_labels'].tolist() == [12, 20]


@pytest.mark.parametrize('bbox_occluded_thr, is_kept', [(3, False), (4, True), (5, True)])
def test_edge_of_the_threshold_of_boxes(bbox_occluded_thr, is_kept):
    pasted = paste(sample([rectangle(5, 5, 15, 15)], 1), sample([rectangle(5, 5, 9, 15)], 2),
                   selected=False, bbox_occluded_thr=bbox_occluded_thr, mask_occluded_thr=300)
    assert (10 in pasted['gt_bboxes_labels']) == is_kept


@pytest.mark.parametrize('mask_occluded_thr, is_kept', [(59, True), (60, False), (61, False)])
def test_edge_of_the_threshold_of_masks(mask_occluded_thr, is_kept):
    pasted = paste(sample([rectangle(5, 5, 15, 15)], 1), sample([rectangle(5, 5, 9, 15)], 2),
                   selected=False, bbox_occluded_thr=0, mask_occluded_thr=mask_occluded_thr)
    assert (10 in pasted['gt_bboxes_labels']) == is_kept


def test_boxes_that_are_not_those_of_the_masks():
    dst = sample([rectangle(5, 5, 9, 9), rectangle(1, 1, 3, 3)], 1,
                 boxes=[[4.5, 4.2, 9.1, 9], [1, 1, 14.5, 3]])
    pasted = paste(dst, sample([rectangle(20, 10, 24, 14)], 2), selected=False)
    assert pasted['gt_bboxes_labels'].tolist() == [10, 20]


def test_ignored_objects_stay_ignored():
    pasted = paste(sample([rectangle(0, 0, 9, 9)] * 3, 1, ignored=[1]),
                   sample([rectangle(20, 10, 24, 14)] * 2, 2, ignored=[0]), selected=False)
    assert pasted['gt_ignore_flags'].tolist() == [False, True, False, True, False]


@pytest.mark.filterwarnings('error')
def test_boxes_as_masks():
    dst, src = sample([rectangle(5, 5, 15, 15)], 1), sample([rectangle(8, 8, 11, 11)] * 3, 2)
    for results in (dst, src):
        del results['gt_masks']
    pasted = []
    for transform in (CroppedCopyPaste, CopyPaste):
        np.random.seed(3)
        arguments = copy.deepcopy(dict(dst, mix_results=[src]))
        pasted.append(transform(paste_by_box=True)(arguments))
        del pasted[-1]['mix_results']
    assert len(pasted[0]['gt_bboxes']) > 1
    assert_same_results(*pasted)
    everything = CroppedCopyPaste(paste_by_box=True, selected=False)(dict(dst, mix_results=[src]))
    assert everything['gt_bboxes_labels'].tolist() == [10, 20, 21, 22]


def test_masks_are_needed_without_boxes_as_masks():
    dst, src = sample([rectangle(5, 5, 15, 15)], 1), sample([rectangle(8, 8, 11, 11)], 2)
    del src['gt_masks']
    with pytest.raises(RuntimeError, match='does not contain masks'):
        CroppedCopyPaste()(dict(dst, mix_results=[src]))


def test_polygons_are_rasterised():
    outline = [[np.array([3.0, 3, 12, 3, 12, 12, 3, 12])]]
    polygons = PolygonMasks(outline, HEIGHT, WIDTH)
    bitmaps = list(polygons.to_ndarray().astype(np.uint8))
    dst, src = sample([rectangle(5, 5, 25, 19)], 1), sample(bitmaps, 2)
    expected = paste(dst, src, selected=False)
    pasted = CroppedCopyPaste(selected=False)(
        dict(dst, mix_results=[dict(src, gt_masks=polygons)]))
    del pasted['mix_results']
    assert_same_results(pasted, expected)


@pytest.mark.parametrize('shape, dtype', [((HEIGHT, WIDTH, 1), np.uint8),
                                          ((HEIGHT, WIDTH, 3), np.float32)])
def test_other_images(shape, dtype):
    dst, src = sample([rectangle(0, 0, 9, 9)], 1), sample([rectangle(4, 4, 24, 14)], 2)
    for results in (dst, src):
        results['img'] = results['img'][..., :shape[2]].astype(dtype)
    ours, theirs = (
        transform(selected=False)(copy.deepcopy(dict(dst, mix_results=[src])))['img']
        for transform in (CroppedCopyPaste, CopyPaste))
    assert ours.shape == shape and ours.dtype == dtype
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize('other', [np.zeros((HEIGHT + 1, WIDTH, 3), np.uint8),
                                   np.zeros((HEIGHT, WIDTH, 3), np.float32)])
def test_images_that_do_not_fit_are_refused(other):
    dst, src = sample([rectangle(0, 0, 9, 9)], 1), sample([rectangle(4, 4, 24, 14)], 2)
    src['img'] = other
    with pytest.raises(ValueError, match='two images of one shape and type'):
        CroppedCopyPaste(selected=False)(dict(dst, mix_results=[src]))


# The pipelines of the configs on files, as MultiImageMixDataset runs them.

CANVAS = (96, 96)


def resized(transform: dict) -> dict:
    """The transform, and those inside it, on a small canvas."""
    return {key: CANVAS if value == (1280, 1280) else [resized(t) for t in value]
            if key == 'transforms' else value for key, value in transform.items()}


def pipelines(stock: bool) -> tuple[Compose, list]:
    cfg = Config.fromfile(PIPELINES)
    single, mixed = (
        [resized({**t, **STOCK.get(t['type'], {})} if stock else t) for t in pipeline]
        for pipeline in (cfg.single_image_pipeline, cfg.copy_paste_pipeline))
    assert not {t['type'] for t in single + mixed} & (STOCK.keys() if stock else set())
    return Compose(single), [TRANSFORMS.build(t) for t in mixed]


def load(record: dict, other: dict, seed: int, stock: bool) -> dict | None:
    single, mixed = pipelines(stock)
    np.random.seed(seed)
    results = single(copy.deepcopy(record))
    pasted = single(copy.deepcopy(other))
    if results is None or pasted is None:
        return None
    results['mix_results'] = [pasted]
    for transform in mixed:
        results = transform(results)
        if results is None:
            return None
    return results


@pytest.fixture(scope='module')
def records(tmp_path_factory) -> list[dict]:
    """Annotated images, portrait and landscape, with 0, 1, 5 and 12 objects."""
    rng = np.random.default_rng(0)
    records = []
    for i, (shape, count) in enumerate(
            [((60, 80), 5), ((80, 60), 12), ((64, 64), 1), ((40, 90), 0), ((75, 100), 5)]):
        path = str(tmp_path_factory.mktemp('images') / f'{i}.jpg')
        cv2.imwrite(path, rng.integers(0, 256, (*shape, 3)).astype(np.uint8))
        instances = []
        for j in range(count):
            side = rng.choice([0.5, 6, 20, 60])
            parts = [(rng.uniform(0, 80, (1, 2)) + rng.uniform(-side, side, (10, 2))).round(2)
                     for _ in range(rng.integers(1, 3))]
            points = np.concatenate(parts)
            instances.append(dict(
                bbox=[*points.min(0).tolist(), *points.max(0).tolist()], bbox_label=j,
                mask=[part.ravel().tolist() for part in parts], ignore_flag=int(j % 5 == 4)))
        records.append(dict(img_path=path, img_id=i, height=shape[0], width=shape[1],
                            instances=instances))
    return records


def test_samples_of_the_pipelines(records):
    preprocess = DetDataPreprocessor(
        mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True,
        pad_mask=True, pad_size_divisor=32)
    num_samples = 0
    for seed in range(60):
        pair = records[seed % 5], records[(seed // 5) % 5]
        ours, next_number = load(*pair, seed, stock=False), np.random.random()
        theirs = load(*pair, seed, stock=True)
        assert next_number == np.random.random()
        assert (ours is None) == (theirs is None)
        if ours is None:
            continue
        num_samples += 1
        assert ours['inputs'].dtype == torch.uint8
        assert torch.equal(ours['inputs'].long(), theirs['inputs'].long())
        assert ours['data_samples'].metainfo == theirs['data_samples'].metainfo
        for group in ('gt_instances', 'ignored_instances'):
            a, b = (sample['data_samples'].get(group) for sample in (ours, theirs))
            assert set(a.keys()) == set(b.keys()) == {'bboxes', 'labels', 'masks'}
            assert torch.equal(a.bboxes.tensor, b.bboxes.tensor)
            assert a.labels.dtype == b.labels.dtype and torch.equal(a.labels, b.labels)
            np.testing.assert_array_equal(a.masks.masks, b.masks.masks)
        batches = [preprocess(dict(inputs=[s['inputs']], data_samples=[s['data_samples']]), True)
                   for s in (ours, theirs)]
        assert torch.equal(batches[0]['inputs'], batches[1]['inputs'])
        a, b = (batch['data_samples'][0].gt_instances.masks for batch in batches)
        assert isinstance(a, CroppedMasks) and (a.height, a.width) == (b.height, b.width)
    assert num_samples > 25


def test_shape_of_the_image_is_the_one_before_padding(records):
    """Proposals are clipped to it; the preprocessor tells the padded shape by itself."""
    single, _ = pipelines(stock=True)
    unpadded = Compose(single.transforms[:-1])
    preprocess = DetDataPreprocessor(pad_size_divisor=32)
    shapes = set()
    for seed in range(20):
        np.random.seed(seed)
        image = unpadded(copy.deepcopy(records[0]))
        sample = load(records[0], records[1], seed, stock=False)
        if sample is None:
            continue
        assert tuple(sample['inputs'].shape[1:]) == CANVAS
        assert sample['data_samples'].img_shape == image['img'].shape[:2]
        shapes.add(sample['data_samples'].img_shape)
        batch = preprocess(dict(inputs=[sample['inputs']], data_samples=[sample['data_samples']]))
        assert batch['data_samples'][0].pad_shape == CANVAS
    assert len(shapes) > 5 and all(min(shape) < CANVAS[0] for shape in shapes)
