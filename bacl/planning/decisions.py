"""Settings of a plan, each with its reason: functions of numbers alone."""
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import NamedTuple

import numpy as np
from bacl.annotations.group_thresholds import GROUP_THRESHOLDS, lt_groups

from .detectors import SMALL, Anchors, Detector
from .facts import Facts
from .geometry import (
    choose_anchors,
    choose_scale,
    choose_small_scale,
    factors,
    median_object,
    median_sides,
    rounded,
    rounded_down,
)

# The smallest numbers of a common and of a frequent class in LVIS, which counts images.
LVIS_THRESHOLDS = (11, 101)
# Part of the classes that every group of a plan has at least.
LEAST_GROUP = 0.05
MAX_EPOCHS = 100  # of stage 1
MAX_CHECKPOINTS = 12  # of a training
ITERATIONS_PER_EPOCH = 8  # at least; else the batch is smaller
USED_MEMORY = 0.8  # of a GPU, by the estimate
LEAST_PIXELS = 1e5  # of an image that a large detector is given, such as 416 x 256
PROPOSALS_PER_OBJECT = 10
CALIBRATOR = 'NorCal'  # of the baseline, a softmax
LEAST_RATIO = 10  # of the images of the most frequent class to those of the rarest, of a tail
# Held-out training images on which the calibrator is chosen, and their part of all at most.
CALIBRATION_IMAGES, CALIBRATION_SHARE = 2000, 0.1


class Decision(NamedTuple):
    """A line of the README of a plan.

    Attributes:
        matter: what was to be decided.
        choice: what was.
        reason: why, from the data; without a full stop.
    """

    matter: str
    choice: str
    reason: str


@dataclass(frozen=True)
class Machine:
    """The machine of the trainings.

    Attributes:
        gpus: their number; 0 is a CPU.
        memory: of each, GB; None if it is not known.
    """

    gpus: int
    memory: float | None = None


@dataclass
class Settings:
    """What configs are made from.

    Attributes:
        is_lvis: evaluation by LVIS, else by COCO.
        group_thresholds: smallest numbers of instances in groups 2, 3, ...; () for LVIS's groups.
        scale: largest long and short side of images, pixels.
        canvas: side of images with Copy-Paste, pixels; 0 without it.
        resizes_training: whether training images of the small detector are resized as in tests.
        anchors: of the RPN.
        gpus: processes; 1 on a CPU.
        images_per_gpu: in a step.
        learning_rate: for all images of a step.
        epochs: of stage 1, of stage 2, of the baseline.
        warmup: iterations.
        proposals: of an image, in stage 1 and 2, in the baseline, in tests.
        max_per_img: detections of an image.
        max_dets: that the metric counts.
        sampled_classes: of feature hallucination.
        calibration_share: of the training images, on which a calibrator is chosen.
        decisions: with their reasons, in the order of the README.
    """

    is_lvis: bool = False
    group_thresholds: tuple[int, ...] = ()
    scale: tuple[int, int] = (0, 0)
    canvas: int = 0
    resizes_training: bool = False
    anchors: Anchors | None = None
    gpus: int = 1
    images_per_gpu: int = 1
    learning_rate: float = 0.0
    epochs: tuple[int, int, int] = (0, 0, 0)
    warmup: int = 0
    proposals: tuple[int, int, int] = (0, 0, 0)
    max_per_img: int = 0
    max_dets: int = 0
    sampled_classes: int = 0
    calibration_share: float = CALIBRATION_SHARE
    decisions: list[Decision] = field(default_factory=list)


def decide(facts: Facts, detector: Detector, machine: Machine, epochs: int | None = None,
           compared: str = '') -> Settings:
    """Make all settings.

    Args:
        facts: of the data.
        detector: as its bases have it.
        machine: of the trainings.
        epochs: of stage 1; None makes them of the number of images.
        compared: of :func:`.compared.best_compared`.
    """
    settings = Settings()
    for step in (_decide_classes, _decide_metric, _decide_size, _decide_copy_paste,
                 _decide_anchors, _decide_batch):
        step(settings, facts, detector, machine)
    _decide_schedule(settings, facts, detector, epochs)
    for step in (_decide_sampler, _decide_proposals, _decide_hallucination):
        step(settings, facts, detector, machine)
    _decide_first_method(settings, facts, compared)
    return settings


def fits(instance_count: Sequence[int], thresholds: Sequence[int]) -> bool:
    """Tell whether every group has some of the classes: a twentieth, and two at least."""
    sizes = np.bincount(lt_groups(instance_count, thresholds) - 1, minlength=len(thresholds) + 1)
    return bool((sizes >= max(2, LEAST_GROUP * len(instance_count))).all())


def choose_thresholds(instance_count: np.ndarray) -> tuple[tuple[int, ...], str]:
    """Borders of groups of classes by number of training instances, and why.

    LVIS's borders if they fit, else COCO-LT's, else those that make three groups, or two of few
    classes, of about the same number of classes. Classes without an object do not count.

    Args:
        instance_count: (C,).
    """
    counts = np.sort(instance_count[instance_count > 0])
    names = {LVIS_THRESHOLDS: "LVIS's borders (which counts images)",
             GROUP_THRESHOLDS: "COCO-LT's borders"}
    for thresholds, name in names.items():
        if fits(counts, thresholds):
            return thresholds, f'{name}; every group has a twentieth of the classes at least'
    if counts[0] == counts[-1]:
        return (int(counts[0]),), 'all classes are equally frequent'
    why = "neither LVIS's nor COCO-LT's borders have enough classes on all sides; these make "
    thirds = tuple(int(counts[len(counts) * part // 3]) for part in (1, 2))
    if len(counts) >= 6 and counts[0] < thirds[0] < thirds[1]:
        return thirds, f'{why}3 groups of about as many classes'
    # Where many are as rare as the rarest, the border lies above them.
    middle = max(counts[len(counts) // 2], counts[counts > counts[0]][0])
    return (int(middle),), f'{why}2 groups as equal as they can be'


def _decide_classes(settings: Settings, facts: Facts, *_) -> None:
    counts, classes = facts.classes.instance_count, facts.classes
    images = classes.image_count
    seen = images[images > 0]
    settings.is_lvis = facts.is_lvis
    if facts.is_lvis:
        reason = 'stored in the file, as LVIS has it'
        groups = classes
    else:
        settings.group_thresholds, reason = choose_thresholds(counts)
        groups = classes.grouped_by_instances(settings.group_thresholds)
    sizes = [(groups.group == position).sum() for position in range(len(groups.groups))]
    unit = '' if facts.is_lvis else ' instances'
    choice = ', '.join(f'{size} {group.label}{unit}' if facts.is_lvis else
                       f'{size} with {group.label}{unit}'
                       for group, size in zip(groups.groups, sizes, strict=True))
    missing = int((images == 0).sum())
    alone = int((facts.val_instances == 0).sum())
    notes = [f'{missing} have no training image and are never found'] * bool(missing)
    notes += [f'{alone} have no object for validation, and no AP'] * bool(alone)
    settings.decisions += [
        Decision('classes', f'{classes.num_classes:,}',
                 f'{_range(seen.min(), seen.max())} training images each'
                 + ''.join(f'; {note}' for note in notes)),
        Decision('groups', choice, reason)]


def _range(low: int, high: int) -> str:
    return f'{low:,}' if low == high else f'{low:,} to {high:,}'


def _decide_metric(settings: Settings, facts: Facts, detector: Detector, *_) -> None:
    settings.max_per_img = detector.max_per_img
    if facts.is_lvis:
        settings.max_dets = detector.max_per_img
        settings.decisions.append(Decision(
            'metric', f'LVIS, {settings.max_dets} detections of an image',
            'every validation image says which absent classes were looked for; detections of '
            'others are ignored'))
        return
    settings.max_dets = detector.max_dets
    if facts.most_of_a_class > settings.max_dets:
        settings.max_dets = ceil(facts.most_of_a_class / 100) * 100
    if facts.most_in_an_image > settings.max_per_img:
        settings.max_per_img = ceil(facts.most_in_an_image / 100) * 100
    settings.max_per_img = max(settings.max_per_img, settings.max_dets)
    settings.decisions.append(Decision(
        'metric', f'COCO over these groups, {settings.max_dets} detections of an image and class',
        'validation images do not say which classes were looked for, so that all count as labelled '
        f'everywhere; none has more than {facts.most_in_an_image} objects, and '
        f'{facts.most_of_a_class} of one class'))


def _decide_size(settings: Settings, facts: Facts, detector: Detector, machine: Machine) -> None:
    long_side, short_side = median_sides(facts.image_sizes)
    object_side = median_object(facts.boxes)
    if detector.train_scales:
        settings.scale, reason = choose_scale(
            detector.scale, long_side, short_side, object_side,
            _pixels_for(detector, machine) if machine.memory else np.inf)
    else:
        side, reason = choose_small_scale(detector.scale[0], long_side,
                                          float(facts.image_sizes.max()), object_side)
        settings.scale = (side, side)
        # Tests resize all images. Where that changes none, training does without.
        settings.resizes_training = bool((facts.image_sizes.max(1) != side).any())
    settings.decisions.append(Decision(
        'image size', '{} x {}'.format(*settings.scale)
        + (', smaller ones in training' if detector.train_scales else ''), reason))


def _decide_copy_paste(settings: Settings, facts: Facts, detector: Detector,
                       machine: Machine) -> None:
    matter = 'Copy-Paste in stage 1'
    if not detector.recipe.copy_paste:
        decision = Decision(matter, 'no', 'the recipe of the small detector is without')
    elif facts.why_no_masks:
        decision = Decision(matter, 'no; multi-scale instead',
                            f'it needs masks: {facts.why_no_masks}')
    else:
        settings.canvas = detector.canvas if settings.scale == detector.scale else rounded(
            detector.canvas / detector.scale[0] * settings.scale[0])
        if machine.memory:
            settings.canvas = min(settings.canvas,
                                  rounded_down(_pixels_for(detector, machine) ** 0.5))
        decision = Decision(matter, f'yes, on {settings.canvas} x {settings.canvas} pixels',
                            'all objects have masks; in the paper stage 1 gains 0.5 AP by it')
    settings.decisions.append(decision)


def _decide_anchors(settings: Settings, facts: Facts, detector: Detector, *_) -> None:
    boxes = facts.boxes * factors(facts.box_images, settings.scale)[:, None]
    settings.anchors, reason = choose_anchors(detector.anchors, boxes)
    sides = [scale * stride for stride in settings.anchors.strides
             for scale in settings.anchors.scales]
    ratios = ', '.join(f'{ratio:g}' for ratio in settings.anchors.ratios)
    settings.decisions.append(Decision(
        'anchors and FPN levels', f'{min(sides):g} to {max(sides):g} pixels on '
        f'{len(settings.anchors.strides)} levels, height to width {ratios}', reason))


def _pixels_for(detector: Detector, machine: Machine) -> float:
    """Pixels of all images of a step that fit into the memory of a GPU.

    Raises:
        ValueError: if there is no room for a small image.
    """
    recipe = detector.recipe
    pixels = (USED_MEMORY * machine.memory - recipe.fixed_memory) / recipe.memory_of_pixels * 1e6
    if pixels < LEAST_PIXELS:
        raise ValueError(f'--memory {machine.memory:g}: by the estimate, an image of '
                         f'{detector.name} has no room there. Take --detector {SMALL}, or a GPU of '
                         '2 GB or more.')
    return pixels


def _decide_batch(settings: Settings, facts: Facts, detector: Detector, machine: Machine) -> None:
    recipe = detector.recipe
    settings.gpus = max(1, machine.gpus)
    num_images = len(facts.image_sizes)
    wanted = max(1, min(recipe.images_per_step, num_images // ITERATIONS_PER_EPOCH))
    per_gpu = max(1, wanted // settings.gpus)
    reason = f'the base has {recipe.images_per_step} images a step'
    if wanted < recipe.images_per_step:
        reason += f', {num_images} in steps of {wanted} make {ITERATIONS_PER_EPOCH} an epoch'
    if settings.gpus > wanted:
        reason += '; every GPU has one at least'
    if recipe.memory_of_pixels and machine.memory:
        pixels = max(settings.scale[0] * settings.scale[1], settings.canvas ** 2)
        room = int(_pixels_for(detector, machine) // pixels)  # of one there is
        per_gpu = min(per_gpu, room)
        reason += (f'; {room} of {pixels / 1e6:.2g} million pixels fit into {machine.memory:g} GB '
                   'by the estimate')
    elif recipe.memory_of_pixels:
        reason += '; whether they fit is not known without --memory GB'
    settings.images_per_gpu = per_gpu
    batch = per_gpu * settings.gpus
    settings.learning_rate = float(f'{detector.learning_rate * batch / recipe.images_per_step:.3g}')
    images = f'{per_gpu} image{"s" * (per_gpu > 1)}'
    where = f'{settings.gpus} GPUs x {images}' if machine.gpus > 1 else \
        f'{images} on a {"GPU" if machine.gpus else "CPU"}'
    settings.decisions.append(Decision(
        'batch, learning rate', f'{where}, {settings.learning_rate:g}',
        f'{reason}; the learning rate is in proportion'))


def _decide_schedule(settings: Settings, facts: Facts, detector: Detector,
                     epochs: int | None) -> None:
    base = detector.epochs
    batch = settings.images_per_gpu * settings.gpus
    per_epoch = ceil(len(facts.image_sizes) / batch)
    # As many images as the base sees in its least number of iterations.
    least = ceil(detector.recipe.min_iterations * detector.recipe.images_per_step / batch)
    first = epochs or min(max(base[0], ceil(least / per_epoch)), max(MAX_EPOCHS, base[0]))
    second = max(1, round(first * base[1] / base[0]))
    settings.epochs = (first, second, first + second)
    settings.warmup = max(1, min(detector.warmup, first * per_epoch // 10))
    if epochs:
        reason = 'as asked for'
    elif first == base[0]:
        reason = 'epochs of the base'
    else:
        reason = f'few images, of which {least:,} iterations are wanted'
        reason += f', but {first} epochs are the most' * (first * per_epoch < least)
    settings.decisions.append(Decision(
        'schedule', f'{first} epochs ({first * per_epoch:,} iterations), then {second}; baseline '
        f'{first + second}',
        f'{len(facts.image_sizes):,} training images with objects, {per_epoch:,} iterations an '
        f'epoch; {reason}'))


def _decide_sampler(settings: Settings, facts: Facts, *_) -> None:
    settings.decisions.append(Decision(
        'sampler', 'every image once an epoch',
        'BACL balances the classifier, not the images'))


def _decide_proposals(settings: Settings, facts: Facts, detector: Detector, *_) -> None:
    crowded = float(np.percentile(facts.objects_per_image, 95))
    factor = max(1, ceil(PROPOSALS_PER_OBJECT * crowded / detector.proposals[2]))
    settings.proposals = tuple(number * factor for number in detector.proposals)
    settings.decisions.append(Decision(
        'proposals',
        '{:,} in BACL, {:,} in the baseline, {:,} in tests'.format(*settings.proposals),
        f'19 of 20 images have at most {crowded:.0f} objects, ten proposals for each are enough'))


def _decide_hallucination(settings: Settings, facts: Facts, detector: Detector,
                          machine: Machine) -> None:
    per_gpu = detector.recipe.images_per_step // detector.recipe.gpus
    wanted = max(1, detector.sampled_classes * settings.images_per_gpu // per_gpu)
    num_classes = facts.classes.num_classes
    settings.sampled_classes = min(wanted, ceil(num_classes / 2))
    reason = f'in proportion to the base, which has {detector.sampled_classes} for {per_gpu} images'
    if settings.sampled_classes < wanted:
        reason = f'at most half of the {num_classes} classes, so that the weak ones are chosen'
    where = ' on each GPU' * (machine.gpus > 1)
    settings.decisions.append(Decision(
        'hallucination', f'classes in a step{where}: c = {settings.sampled_classes}; features of '
        f'each: m = {detector.features_per_class}', f'{reason}; m is that of the base'))


def _decide_first_method(settings: Settings, facts: Facts, compared: str) -> None:
    num_images = len(facts.image_sizes)
    settings.calibration_share = min(CALIBRATION_SHARE, CALIBRATION_IMAGES / num_images)
    images = facts.classes.image_count[facts.classes.image_count > 0]
    ratio = images.max() / images.min()
    reason = f'the most frequent class has {ratio:.0f} times the images of the rarest'
    if ratio < LEAST_RATIO:
        choice = 'the baseline'
        reason += ', which is hardly a tail'
    else:
        choice = f'the baseline with {CALIBRATOR}, then BACL'
        reason += (f'; {CALIBRATOR} trains nothing; what BACL adds to it on these data, the table '
                   'of the runs tells (LVIS v0.5, in the paper of BACL: AP 22.0 of the baseline, '
                   '27.8 of BACL, without calibration)')
        reason += f'; {compared}' * bool(compared)
    settings.decisions.append(Decision('look at first', choice, reason))
