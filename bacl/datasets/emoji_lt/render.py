"""Drawing of the images of a plan, by several processes."""
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from .compose import compose_scene
from .lvis_json import (
    NUM_TRAIN_NEGATIVES,
    absent_category_ids,
    annotation_record,
    category_records,
    image_record,
)
from .plan import SPLIT_STREAMS, Plan, PlannedObject
from .sources import load_drawing, load_photographs

JPEG_QUALITY = 90
_IMAGES_PER_MESSAGE = 16  # between processes

Progress = Callable[[int, int], None]

cached_drawing = lru_cache(maxsize=None)(load_drawing)  # 7,000 drawings of a full dataset: 150 MB
cached_photographs = lru_cache(maxsize=1)(load_photographs)


class ImageJob(NamedTuple):
    """One image to draw.

    Attributes:
        split: 'train' or 'val'.
        index: position in the split.
        objects: from bottom to top.
    """

    split: str
    index: int
    objects: Sequence[PlannedObject]


def render_dataset(plan: Plan, image_size: int, root: Path, seed: int, workers: int,
                   progress: Progress | None = None) -> dict[str, dict]:
    """Draw all images of a plan and collect their annotations.

    Args:
        plan: content of the images.
        image_size: side in pixels.
        root: folder in which 'train' and 'val' are made.
        seed: with split and index it makes the random stream of an image.
        workers: number of processes.
        progress: called with the number of images done and of all images.

    Returns:
        Content of the annotation file per split.
    """
    jobs = [ImageJob(split, index, objects) for split, images in plan.images.items()
            for index, objects in enumerate(images)]
    for split in plan.images:
        (root / split).mkdir()
    datasets = {split: dict(images=[], annotations=[]) for split in plan.images}
    render = partial(render_image, len(plan.categories), image_size, root, seed)
    records = map_jobs(render, jobs, workers)
    for done, (job, (image, annotations)) in enumerate(zip(jobs, records, strict=True), 1):
        dataset = datasets[job.split]
        dataset['images'].append(image)
        for annotation in annotations:
            dataset['annotations'].append(
                dict(annotation, id=len(dataset['annotations']) + 1, image_id=image['id']))
        if progress is not None:
            progress(done, len(jobs))
    categories = category_records(plan.categories, datasets['train']['annotations'])
    return {split: dict(dataset, categories=categories) for split, dataset in datasets.items()}


def render_image(num_categories: int, image_size: int, root: Path, seed: int,
                 job: ImageJob) -> tuple[dict, list[dict]]:
    """Draw one image, write it and describe it.

    Args:
        num_categories: C.
        image_size: side in pixels.
        root: folder of the dataset.
        seed: with split and index it makes the random stream, so that the image does not depend on
            others or on the process that draws it.
        job: the image.

    Returns:
        The records of the image and of its annotations, these without ids.
    """
    rng = np.random.default_rng([seed, SPLIT_STREAMS[job.split], job.index])
    photographs = cached_photographs()
    photograph = photographs[rng.integers(len(photographs))]
    drawings = [cached_drawing(planned.drawing) for planned in job.objects]
    scene = compose_scene(photograph, drawings, image_size, rng)

    image_id = job.index + 1
    file_name = f'{job.split}/{image_id:06d}.jpg'
    Image.fromarray(scene.image).save(root / file_name, quality=JPEG_QUALITY)
    # Of val all, which says all that is known; federation.py leaves what LVIS would know.
    negatives = absent_category_ids(job.objects, num_categories)
    if job.split == 'train':
        chosen = rng.permutation(len(negatives))[:NUM_TRAIN_NEGATIVES]
        negatives = sorted(negatives[index] for index in chosen)
    return (image_record(image_id, file_name, image_size, negatives),
            [annotation_record(planned, mask)
             for planned, mask in zip(job.objects, scene.masks, strict=True)])


def map_jobs(function: Callable, jobs: Sequence, workers: int) -> Iterator:
    """Results of so many processes in the order of the jobs, as they become ready."""
    if workers == 1:
        yield from map(function, jobs)
        return
    with ProcessPoolExecutor(workers) as executor:
        yield from executor.map(function, jobs, chunksize=_IMAGES_PER_MESSAGE)
