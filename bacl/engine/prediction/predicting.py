"""From images to pictures and a COCO file."""
import contextlib
import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from bacl.datasets.images import decode, read_bytes
from bacl.visualization.detection_picture import MarkedBox, draw_boxes
from mmdet.structures.mask import encode_mask_results
from mmengine.logging import print_log
from PIL import Image

from .classes import PredictedClasses, read_classes
from .coco_file import CocoFile
from .image_files import ImageFile, find_images
from .predictor import Predictor

DETECTIONS, PICTURES = 'detections.json', 'pictures'
# A picture keeps its name if it can be written in its format.
WRITABLE = ('.jpg', '.jpeg', '.png', '.bmp', '.webp', '.tif', '.tiff')


@dataclass(frozen=True)
class Prediction:
    """What is found in an image, by falling score.

    Attributes:
        path: of the image.
        name: of the image below the folder that all images share.
        size: (width, height) in pixels.
        boxes: (N, 4), float64, (x, y, w, h) in pixels of the image.
        scores: (N,), float64.
        labels: (N,), int64, in [0, C).
        names: N, of the classes.
        groups: N keys of frequency groups, None where they are not known.
        masks: N compressed run-length encodings, if the detector has masks.
    """

    path: str
    name: str
    size: tuple[int, int]
    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    names: Sequence[str]
    groups: Sequence[str | None]
    masks: Sequence[dict] | None = None


def predict(config: str, checkpoint: str,
            images: str | os.PathLike | Iterable[str | os.PathLike],
            out: str | os.PathLike | None = None, score_thr: float = 0.3, max_dets: int = 100,
            device: str | None = None, skip_unreadable: bool = False,
            cfg_options: dict[str, Any] | None = None) -> Iterator[Prediction]:
    """Predict the objects of images, one image after the other as the result is gone through.

    Args:
        config: path of a config.
        checkpoint: path of a checkpoint of its training.
        images: an image, a folder, a list or paths; see :func:`.image_files.find_images`.
        out: folder for ``pictures/`` with boxes in the colours of frequency groups, and for
            ``detections.json`` (:class:`.coco_file.CocoFile`), which appears when the last image is
            done; made if there is none. None writes nothing.
        score_thr: detections of lower scores are left out. Rare classes have low scores.
        max_dets: largest number of detections of an image, those with the highest scores. The
            limits of the config hold, too (``model.test_cfg``).
        device: see :class:`.predictor.Predictor`.
        skip_unreadable: go on without images that are missing or cannot be read, and log their
            names; else they are an error.
        cfg_options: see :class:`.predictor.Predictor`.

    Returns:
        Predictions, in the order of the images.

    Raises:
        FileNotFoundError: if a file or folder is missing.
        ValueError: if the checkpoint does not fit, an argument is out of range, there is no image
            or no such device, or an image cannot be decoded.
        RuntimeError: if the checkpoint cannot be read.
    """
    if not 0 <= score_thr <= 1:
        raise ValueError(f'predict(score_thr=) expects a number in [0, 1], got {score_thr}.')
    if max_dets < 1:
        raise ValueError(f'predict(max_dets=) expects a positive int, got {max_dets}.')
    files = find_images(images, None if out is None else Path(out) / PICTURES)
    predictor = Predictor(config, checkpoint, device, cfg_options)
    classes = read_classes(predictor.cfg, predictor.class_names, predictor.num_classes)
    return _predictions(predictor, classes, files, None if out is None else Path(out), score_thr,
                        max_dets, skip_unreadable)


def _predictions(predictor: Predictor, classes: PredictedClasses, files: Sequence[ImageFile],
                 out: Path | None, score_thr: float, max_dets: int,
                 skip_unreadable: bool) -> Iterator[Prediction]:
    with contextlib.ExitStack() as stack:
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
            coco = stack.enter_context(CocoFile(out / DETECTIONS, classes.categories()))
        num_skipped = 0
        for file in files:
            try:
                image = decode(read_bytes(file.path), file.path, **predictor.decoding)
            except (OSError, ValueError) as error:
                if not skip_unreadable:
                    raise type(error)(f'{error} --skip-unreadable (skip_unreadable=True) goes on '
                                      'without such images.') from error
                num_skipped += 1
                print_log(f'Left out: {error}', logger='current', level=logging.WARNING)
                continue
            prediction = _select(predictor, classes, file, image, score_thr, max_dets)
            if out is not None:
                coco.add(file.name, *prediction.size, list(_records(prediction, classes)))
                _write_picture(out / PICTURES / file.name, image, prediction, classes)
            yield prediction
        if num_skipped:
            print_log(f'{num_skipped} of {len(files)} images were left out.', logger='current',
                      level=logging.WARNING)


def _select(predictor: Predictor, classes: PredictedClasses, file: ImageFile, image: np.ndarray,
            score_thr: float, max_dets: int) -> Prediction:
    found = predictor(image).pred_instances
    scores = found.scores.double().numpy()
    rows = np.argsort(-scores, kind='stable')
    rows = rows[scores[rows] >= score_thr][:max_dets]
    boxes = found.bboxes.double().numpy()[rows]
    boxes[:, 2:] -= boxes[:, :2]
    labels, groups = found.labels.numpy()[rows], classes.groups()
    masks = None
    if 'masks' in found:
        masks = [found.masks[row] for row in rows]
        if masks and not isinstance(masks[0], dict):
            masks = encode_mask_results(np.stack([np.asarray(mask) for mask in masks]))
    return Prediction(
        file.path, file.name, (image.shape[1], image.shape[0]), boxes, scores[rows], labels,
        [classes.names[label] for label in labels], [groups[label] for label in labels], masks)


def _records(prediction: Prediction, classes: PredictedClasses) -> Iterator[dict]:
    for number, (box, score, label) in enumerate(zip(
            prediction.boxes.tolist(), prediction.scores.tolist(), prediction.labels.tolist(),
            strict=True)):
        record = dict(category_id=classes.category_ids[label], bbox=box, score=score)
        if prediction.masks is not None:
            mask = prediction.masks[number]
            counts = mask['counts']
            record['segmentation'] = dict(size=[int(side) for side in mask['size']], counts=(
                counts.decode() if isinstance(counts, bytes) else counts))
        yield record


def _write_picture(path: Path, image: np.ndarray, prediction: Prediction,
                   classes: PredictedClasses) -> None:
    boxes = [MarkedBox(tuple(box), name, score, group, classes.category_ids[label])
             for box, name, score, group, label in zip(
                 prediction.boxes.tolist(), prediction.names, prediction.scores.tolist(),
                 prediction.groups, prediction.labels.tolist(), strict=True)]
    rgb = np.ascontiguousarray(image[..., ::-1]) if image.ndim == 3 else np.stack([image] * 3, -1)
    if path.suffix.lower() not in WRITABLE:
        path = path.with_name(f'{path.name}.png')
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(draw_boxes(rgb, boxes, classes.styles)).save(path, quality=90)
