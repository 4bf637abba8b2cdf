"""How often the semantic teacher of a config is right about the boxes of its validation data."""
import argparse
from collections.abc import Sequence

import numpy as np
import torch
from bacl.annotations import ClassTable
from bacl.datasets.images import decode, read_bytes
from bacl.engine.checking.class_checks import innermost_dataset
from bacl.models.semantics import SemanticTeacher
from mmdet.registry import DATASETS, MODELS
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData


def moved(boxes: np.ndarray, noise: float, random: np.random.Generator) -> np.ndarray:
    """Boxes whose borders moved by up to ``noise`` times half a side, as DINO's denoising does.

    Args:
        boxes: (G, 4), x1, y1, x2, y2.
        noise: in [0, 1).
        random: of the draws.

    Returns:
        (G, 4); what leaves the image stays outside.
    """
    sides = np.tile(boxes[:, 2:] - boxes[:, :2], 2)
    return boxes + noise / 2 * sides * random.uniform(-1, 1, boxes.shape)


def places_of_truth(teacher: SemanticTeacher, dataset: BaseDataset, min_side: float,
                    noise: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """The labels of boxes, and the places of these in the teacher's order of classes.

    Args:
        teacher: that knows the classes.
        dataset: detection data.
        min_side: of the boxes that are asked for, pixels.
        noise: of :func:`moved`.

    Returns:
        Two of (G,), int64; a place is 0 where the teacher is right.
    """
    random = np.random.default_rng(0)
    labels, places = [np.zeros(0, dtype=int)], [np.zeros(0, dtype=int)]
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        objects = [(instance['bbox'], instance['bbox_label']) for instance in info['instances']
                   if not instance['ignore_flag'] and
                   min(np.subtract(instance['bbox'][2:], instance['bbox'][:2])) >= min_side]
        if not objects:
            continue
        boxes, truth = map(np.array, zip(*objects, strict=True))
        image = decode(read_bytes(info['img_path']), info['img_path'])[..., ::-1]  # RGB
        image = image.transpose(2, 0, 1) / 255
        sample = DetDataSample(metainfo=dict(img_shape=image.shape[1:]))
        sample.gt_instances = InstanceData(
            bboxes=torch.from_numpy(moved(boxes, noise, random)).float())
        (logits,) = teacher(torch.from_numpy(image).float()[None], [sample])
        order = logits.argsort(dim=1, descending=True).numpy()
        labels.append(truth)
        places.append((order == truth[:, None]).argmax(1))
    return np.concatenate(labels), np.concatenate(places)


def format_accuracy(table: ClassTable, labels: np.ndarray, places: np.ndarray,
                    tops: Sequence[int] = (1, 5, 10)) -> str:
    """A table of the share of boxes, in percent, whose class is among the first; by group."""
    groups = {'all': np.ones(table.num_classes, dtype=bool)}
    groups |= {group.key: table.group == number for number, group in enumerate(table.groups)}
    lines = ['| classes | boxes | ' + ' | '.join(f'top-{top}' for top in tops) + ' |',
             '|---' * (2 + len(tops)) + '|']
    for name, is_member in groups.items():
        chosen = places[is_member[labels]]
        shares = [f'{100 * (chosen < top).mean():.1f}' if len(chosen) else '–' for top in tops]
        lines.append(' | '.join([f'| {name}', str(len(chosen)), *shares]) + ' |')
    return '\n'.join(lines)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config whose model has a teacher')
    parser.add_argument('--min-side', type=float, default=16,
                        help='shorter side of the smallest boxes, pixels (default: %(default)s)')
    parser.add_argument('--box-noise', type=float, default=0.0, metavar='SHARE',
                        help='borders move by up to this times half a side (default: not at all)')
    args = parser.parse_args()
    if not 0 <= args.box_noise < 1:
        parser.error(f'argument --box-noise: expects a number in [0, 1), got {args.box_noise:g}')
    cfg = Config.fromfile(args.config)
    if not cfg.model.get('teacher'):
        parser.error(f'CONFIG expects a model with a teacher, got {args.config}.')
    init_default_scope('mmdet')
    dataset = innermost_dataset(DATASETS.build(cfg.val_dataloader.dataset))
    table, teacher = dataset.class_table(), MODELS.build(
        dict(cfg.model.teacher, cached_sources=(), cache_file=None))
    teacher.set_classes(table.names)
    print(format_accuracy(table, *places_of_truth(teacher, dataset, args.min_side,
                                                  args.box_noise)))


if __name__ == '__main__':
    main()
