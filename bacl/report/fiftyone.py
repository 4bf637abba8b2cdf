"""Annotations and detections as a dataset of FiftyOne, to look at them there.

The folder is what ``fiftyone.types.FiftyOneDataset`` reads: ``samples.json`` with the samples as
FiftyOne serialises them, ``metadata.json`` with what is known of all. Without a version in it,
FiftyOne takes them for samples of any version (by its source, 1.22.1). Images are not copied.
"""
import json
import os
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from bacl.compat.atomic_files import PARTIAL, write_atomically
from bacl.evaluation import Detections

from .page import Validation
from .results import Matches

SAMPLES, METADATA = 'samples.json', 'metadata.json'
GROUND_TRUTH = 'ground_truth'
# Fields that every sample has.
RESERVED = {'id', 'filepath', 'tags', 'metadata', 'image_id', 'known_absent', GROUND_TRUTH}


def field_names(names: Sequence[str]) -> dict[str, str]:
    """Names of fields for the detections of runs, unique among them.

    Args:
        names: of runs, unique.

    Returns:
        Per name of a run the name of its field, of letters, digits and underscores.
    """
    result: dict[str, str] = {}
    for name in names:
        field = re.sub(r'\W+', '_', name, flags=re.ASCII).strip('_') or 'run'
        field = f'run_{field}' if field in RESERVED or field[0].isdigit() else field
        taken, number = {*result.values()}, 1
        while field in taken:
            number += 1
            field = re.sub(r'(_\d+)?$', f'_{number}', field, count=1)
        result[name] = field
    return result


def write_fiftyone(folder: str | os.PathLike, validation: Validation,
                   runs: Mapping[str, tuple[Detections, Matches]], score_thr: float = 0.05,
                   max_dets: int = 100) -> Path:
    """Write the annotations of images and what runs detected in them.

    Every detection has an ``eval``: ``tp``, ``fp`` or ``ignored`` at IoU 0.5 by the rules of the
    evaluation, or ``unlabelled`` where nobody looked for its class (LVIS). Every annotated object
    has ``found_by``, the fields of the runs of which a detection that is here found it. Both have
    ``frequency``, the frequency group of the class.

    Args:
        folder: gets the two files; made if there is none.
        validation: the images and their annotations.
        runs: by name.
        score_thr: detections of lower scores are left out.
        max_dets: largest number of detections of an image, those with the highest scores.

    Returns:
        The folder.

    Raises:
        ValueError: if ``score_thr`` or ``max_dets`` is out of range.
        OSError: if the folder cannot be written to.
    """
    if not 0 <= score_thr <= 1:
        raise ValueError(f'write_fiftyone(score_thr=) expects a number in [0, 1], got {score_thr}.')
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    fields = field_names(list(runs))
    samples = _Samples(validation, {fields[name]: run for name, run in runs.items()}, score_thr,
                       max_dets)
    partial = folder / f'{SAMPLES}{PARTIAL}'
    with partial.open('w', encoding='utf-8') as file:
        file.write('{"samples": [')
        for number, sample in enumerate(samples):
            file.write((',\n' if number else '\n') + json.dumps(sample))
        file.write('\n]}\n')
    os.replace(partial, folder / SAMPLES)
    names = list(validation.classes.names)
    metadata = dict(media_type='image', info=dict(
        description=f'{validation.ann_file}; detections of {", ".join(runs)}',
        runs={field: name for name, field in fields.items()},
        classes={field: names for field in (GROUND_TRUTH, *fields.values())},
        default_classes=names))
    write_atomically(folder / METADATA, json.dumps(metadata).encode())
    return folder


class _Samples:
    """The samples, one for each image."""

    def __init__(self, validation: Validation, runs: Mapping[str, tuple[Detections, Matches]],
                 score_thr: float, max_dets: int) -> None:
        self._validation = validation
        classes = validation.classes
        labels = [None] * classes.num_classes if classes.group is None else [
            classes.groups[group].label for group in classes.group]
        self._of_class = {category_id: (name, label) for category_id, name, label in zip(
            validation.category_ids, classes.names, labels, strict=True)}
        # As the evaluation of LVIS, which has no objects without area.
        self._annotations = [a for a in validation.annotations['annotations']
                             if validation.benchmark != 'LVIS' or a['area'] > 0]
        self._found_by = defaultdict(list)
        self._runs = {}
        for field, (detections, matches) in runs.items():
            kept = detections.top_scoring_per_image(max_dets)
            kept = kept[detections.score[kept] >= score_thr]
            is_kept = np.zeros(len(detections), dtype=bool)
            is_kept[kept] = True
            verdict = np.full(len(detections), 'unlabelled', dtype='<U10')
            verdict[matches.index] = np.where(matches.tp[:, 0], 'tp', np.where(
                matches.ignored[:, 0], 'ignored', 'fp'))
            for row in np.unique(matches.object[matches.tp[:, 0] & is_kept[matches.index]]):
                self._found_by[int(row)].append(field)
            self._runs[field] = detections, kept, detections.image_id[kept], verdict

    def __iter__(self) -> Iterator[dict]:
        objects = defaultdict(list)
        for row, annotation in enumerate(self._annotations):
            objects[annotation['image_id']].append((row, annotation))
        for image in self._validation.annotations['images']:
            size = image['width'], image['height']
            path = self._validation.image_path(image)
            sample = {
                'filepath': path if '://' in path else os.path.abspath(path), 'tags': [],
                'metadata': {'_cls': 'ImageMetadata', 'width': size[0], 'height': size[1]},
                'image_id': image['id'],
                GROUND_TRUTH: _list([self._object(annotation['category_id'], annotation['bbox'],
                                                  size, found_by=self._found_by.get(row, []),
                                                  iscrowd=bool(annotation.get('iscrowd')))
                                     for row, annotation in objects[image['id']]])}
            if 'neg_category_ids' in image:
                sample['known_absent'] = [self._of_class[category_id][0] for category_id
                                          in image['neg_category_ids']
                                          if category_id in self._of_class]
            for field, (detections, kept, image_id, verdict) in self._runs.items():
                rows = kept[slice(*np.searchsorted(image_id, [image['id'], image['id'] + 1]))]
                sample[field] = _list([
                    self._object(int(detections.category_id[row]), detections.region[row].tolist(),
                                 size, confidence=float(detections.score[row]),
                                 eval=str(verdict[row])) for row in rows])
            yield sample

    def _object(self, category_id: int, box: Sequence[float], size: tuple[int, int],
                **attributes: object) -> dict:
        name, group = self._of_class[category_id]
        sides = (*size, *size)
        return {'_cls': 'Detection', 'label': name, 'tags': [],
                'bounding_box': [float(value) / side for value, side in zip(
                    box, sides, strict=True)],
                **({'frequency': group} if group else {}), **attributes}


def _list(detections: list[dict]) -> dict:
    return {'_cls': 'Detections', 'detections': detections}
