"""Building of COCO-LT's training annotations; the images are those of COCO."""
import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bacl.annotations.coco import read_coco_annotations
from bacl.annotations.group_thresholds import GROUP_THRESHOLDS, lt_groups

from ..json_files import digest_files, write_json
from .published_counts import COCO_LT, PublishedCounts
from .sampling import exponential_counts, sample_counts, sample_listed_images
from .simcal_index import read_simcal_index

LEVELS = ('A', 'B', 'C', 'official')


@dataclass(frozen=True)
class CocoLTSummary:
    """The outcome of a build.

    Attributes:
        level: of :data:`LEVELS`.
        num_images: images with at least one annotation.
        num_instances: annotations.
        group_sizes: number of classes in groups 1, 2, 3 and 4.
        digest: SHA-256 of the file, as hexadecimal digits.
        out_file: the annotation file.
    """

    level: str
    num_images: int
    num_instances: int
    group_sizes: tuple[int, ...]
    digest: str
    out_file: Path


def build_coco_lt(source: str | os.PathLike,
                  out_file: str | os.PathLike,
                  level: str = 'B',
                  seed: int = 0,
                  simcal_index: str | os.PathLike | None = None,
                  max_count: int | None = None,
                  min_count: int | None = None,
                  published: PublishedCounts = COCO_LT) -> CocoLTSummary:
    """Write the annotations of COCO-LT, or of a long-tailed version of another COCO dataset.

    How the published file was sampled is not known, only what it contains. A level is closer to it
    or needs less:

    - 'A': the annotations of a class lie in the images where the published file has some, as
      SimCal's index lists them; a hash chooses among several in an image.
    - 'B': as many annotations of a class as published, chosen by a hash.
    - 'C': numbers that fall exponentially, for any dataset; see
      :func:`.sampling.exponential_counts`.
    - 'official': the published file itself, of which nothing is left out.

    Images without a remaining annotation are dropped. Categories keep what they have and get
    ``instance_count``, ``image_count`` and ``lt_group`` (1 to 4); ``info`` gets the entry
    ``coco_lt`` with the level, its settings and SHA-256 of the inputs. The same inputs and
    settings give the same bytes. The file appears under its name only when it is complete.

    Args:
        source: annotations in COCO format: ``instances_train2017.json``, for 'official' the
            published file, for 'C' any.
        out_file: file to write, whose folder is made; an existing one is replaced.
        level: of :data:`LEVELS`.
        seed: of the hash in levels A, B and C.
        simcal_index: for level A: ``class_to_imageid_and_inscount_coco_sampled.pt``.
        max_count: for level C: number of annotations of the most frequent class.
        min_count: for level C: that of the least frequent one, in [1, max_count].
        published: what levels A, B and 'official' have to arrive at.

    Returns:
        What was built.

    Raises:
        FileNotFoundError: if an input does not exist.
        ValueError: if an argument is out of range or does not belong to the level, an input has
            the wrong form, the source has too few annotations of a class, or the result is not
            what was published.
    """
    source, out_file = Path(source), Path(out_file)
    check_arguments(source, out_file, level, simcal_index, max_count, min_count)
    data = read_coco_annotations(source, annotation_fields=('id', ))
    if level != 'C':
        check_classes(data['categories'], published, source)
    provenance = {'level': level, 'source_sha256': digest_files([source])}
    annotations_of = group_by_class(data)
    if level == 'A':
        index = read_simcal_index(simcal_index, list(annotations_of))
        kept = sample_listed_images(annotations_of, index, seed)
        provenance.update(seed=seed, simcal_index_sha256=digest_files([simcal_index]))
    elif level == 'B':
        counts = {name: published.of_class[name][0] for name in annotations_of}
        kept = sample_counts(annotations_of, counts, seed)
        provenance.update(seed=seed)
    elif level == 'C':
        available = {name: len(annotations) for name, annotations in annotations_of.items()}
        counts = exponential_counts(available, max_count, min_count)
        kept = sample_counts(annotations_of, counts, seed)
        provenance.update(seed=seed, max_count=max_count, min_count=min_count)
    else:
        kept = data['annotations']

    dataset = keep_annotations(data, kept)
    dataset['info'] = {**data.get('info', {}), 'coco_lt': provenance}
    if level != 'C':
        # Level B chooses annotations of its own, and with them the images.
        check_published(dataset, published, with_images=level != 'B')
    out_file.parent.mkdir(parents=True, exist_ok=True)
    write_json(out_file, dataset)
    groups = [category['lt_group'] for category in dataset['categories']]
    return CocoLTSummary(
        level, len(dataset['images']), len(dataset['annotations']),
        tuple(groups.count(group + 1) for group in range(len(GROUP_THRESHOLDS) + 1)),
        digest_files([out_file]), out_file)


def check_arguments(source: Path, out_file: Path, level: str,
                    simcal_index: str | os.PathLike | None, max_count: int | None,
                    min_count: int | None) -> None:
    """Raise a ``ValueError`` if an argument of :func:`build_coco_lt` contradicts the others."""
    if level not in LEVELS:
        raise ValueError(f'build_coco_lt(level=) expects one of {LEVELS}, got {level!r}.')
    if (level == 'A') != (simcal_index is not None):
        raise ValueError(f"build_coco_lt(simcal_index=) expects SimCal's index for level 'A' and "
                         f'None for others, got {simcal_index} for level {level!r}.')
    if level == 'C':
        if max_count is None or min_count is None or not 1 <= min_count <= max_count:
            raise ValueError('build_coco_lt(max_count=, min_count=) expects 1 <= min_count <= '
                             f"max_count for level 'C', got {max_count} and {min_count}.")
    elif max_count is not None or min_count is not None:
        raise ValueError("build_coco_lt(max_count=, min_count=) expects None except for level 'C', "
                         f'got {max_count} and {min_count} for level {level!r}.')
    if out_file.resolve() == source.resolve():
        raise ValueError(f'build_coco_lt(out_file=) expects another file than the source, got '
                         f'{out_file}.')


def check_classes(categories: Sequence[dict], published: PublishedCounts, source: Path) -> None:
    """Raise a ``ValueError`` if a file has other classes than were published."""
    names = [category['name'] for category in categories]
    if sorted(names) != sorted(published.of_class):
        differing = sorted(set(names) ^ set(published.of_class))
        raise ValueError(f'build_coco_lt(source=) expects the {len(published.of_class)} classes of '
                         f"COCO, got {len(names)} in {source}, {differing} differ. Choose level "
                         "'C' for another dataset.")


def check_published(dataset: dict, published: PublishedCounts, with_images: bool) -> None:
    """Raise a ``ValueError`` if the content of a dataset is not what was published.

    Args:
        dataset: with counts in its categories.
        published: what they have to be.
        with_images: whether numbers of images are compared, too.
    """
    fields = ('instance_count', 'image_count') if with_images else ('instance_count', )
    for category in dataset['categories']:
        for field, expected in zip(fields, published.of_class[category['name']], strict=False):
            if category[field] != expected:
                raise ValueError(f'COCO-LT has {field} {expected} of {category["name"]!r}, got '
                                 f'{category[field]}. Use the original files of COCO and SimCal.')
    if with_images and len(dataset['images']) != published.num_images:
        raise ValueError(f'COCO-LT has {published.num_images} images, got '
                         f'{len(dataset["images"])}. Use the original files of COCO and SimCal.')


def group_by_class(data: dict) -> dict[str, list[dict]]:
    """The annotations of each class, by its name, in the order of the categories."""
    by_id = defaultdict(list)
    for annotation in data['annotations']:
        by_id[annotation['category_id']].append(annotation)
    return {category['name']: by_id[category['id']] for category in data['categories']}


def keep_annotations(data: dict, kept: Sequence[dict]) -> dict:
    """A dataset with some annotations of another, their images, and counts in its categories.

    Args:
        data: content of an annotation file; not changed.
        kept: some of its annotations.

    Returns:
        The dataset; images and annotations are sorted by id.
    """
    image_ids = {annotation['image_id'] for annotation in kept}
    images_of = defaultdict(list)
    for annotation in kept:
        images_of[annotation['category_id']].append(annotation['image_id'])
    categories = []
    for category in data['categories']:
        images = images_of[category['id']]
        categories.append({
            **category,
            'instance_count': len(images),
            'image_count': len(set(images)),
            'lt_group': int(lt_groups([len(images)])[0]),
        })
    return {
        **data,
        'images': sorted((image for image in data['images'] if image['id'] in image_ids),
                         key=lambda image: image['id']),
        'annotations': sorted(kept, key=lambda annotation: annotation['id']),
        'categories': categories,
    }
