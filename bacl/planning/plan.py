"""A plan: from annotation files and a folder of images to a folder of configs."""
import json
import re
from dataclasses import dataclass
from pathlib import Path

import torch
from bacl.annotations.coco import coco_class_table
from bacl.compat.atomic_files import write_atomically

from .compared import COMPARISON, best_compared
from .config_texts import COPY_PASTE, DATASET, config_names, make_configs
from .decisions import Machine, Settings, decide
from .detectors import DEFAULT, SMALL, read_detector
from .facts import collect_facts
from .pairs import Report, Sources, common_folder, read_pair, write_pair
from .readme import next_commands, readme_text

PLAN = 'plan.json'  # in the folder of the configs: what tools/run_plan.sh needs of it
_NAME = re.compile(r'[A-Za-z0-9][A-Za-z0-9.-]*')


@dataclass(frozen=True)
class Request:
    """What is wanted, besides the data.

    Attributes:
        name: of the plan; None is made of the files.
        detector: None is chosen by the machine.
        gpus: for training; None is the number of this machine's.
        memory: of a GPU, GB; None asks this machine's.
        epochs: of stage 1; None follows from the number of images.
        out: folder of the configs; None is ``configs/NAME``.
        data: folder of new annotation files; None is ``data/NAME``.
        command: that asks for it.
    """

    name: str | None = None
    detector: str | None = None
    gpus: int | None = None
    memory: float | None = None
    epochs: int | None = None
    out: Path | None = None
    data: Path | None = None
    command: str = ''


@dataclass(frozen=True)
class Plan:
    """A plan as it was written.

    Attributes:
        folder: of the configs.
        configs: their names, by run: 'stage1', 'baseline', 'stage2'.
        settings: with the decisions.
        notes: what was changed in annotations, and what is unusual there.
        commands: what to run next.
    """

    folder: Path
    configs: dict[str, str]
    settings: Settings
    notes: list[str]
    commands: list[str]


def make_plan(sources: Sources, request: Request, bases: Path, report: Report) -> Plan:
    """Read and check the data, decide, and write configs, README and, if need be, annotations.

    Args:
        sources: of the data.
        request: what is wanted.
        bases: the folder ``configs/_base_``.
        report: receives a line for each step.

    Raises:
        FileNotFoundError: if a file or folder is missing.
        PlanRefusedError: if the data cannot be used, naming file and ids.
        ValueError: if an argument or the form of a file is wrong.
    """
    name = request.name or default_name(sources)
    if not _NAME.fullmatch(name):
        raise ValueError(f'--name expects letters, digits, "-" and ".", got {name!r}.')
    folder = request.out or Path('configs', name)
    _check_folder(folder)
    machine, detector_name = find_machine(request)
    detector = read_detector(detector_name, bases)
    pair = read_pair(sources, report)
    paths = write_pair(pair, sources, request.data or Path('data', name), report)
    report('Deciding.')
    classes = coco_class_table(pair.train.data, pair.train.ann_file)
    facts = collect_facts(pair, classes)
    settings = decide(facts, detector, machine, request.epochs,
                      best_compared(bases.parent / COMPARISON))
    comment = (f'{classes.num_classes:,} classes, {facts.num_train:,} images for training, '
               f'{facts.num_val:,} for validation.')
    configs = config_names(name, detector.name)
    texts = make_configs(name, comment, folder, bases, paths, settings, detector,
                         classes.num_classes)
    texts['README.md'] = readme_text(name, comment, settings.decisions, pair.notes, configs,
                                     request.command, folder.as_posix())
    groups = classes if pair.is_lvis else classes.grouped_by_instances(settings.group_thresholds)
    texts[PLAN] = json.dumps(dict(
        name=name, configs=configs, gpus=settings.gpus,
        metric='lvis' if pair.is_lvis else 'coco_lt',
        groups={group.key: group.label for group in groups.groups},
        calibration_share=settings.calibration_share,
        ann_files=[paths.root + file for file in paths.ann_files.values()]), indent=2) + '\n'
    _remove_older(folder)
    for file, text in texts.items():
        write_atomically(folder / file, text.encode())
    return Plan(folder, configs, settings, pair.notes, next_commands(folder.as_posix(), configs))


def default_name(sources: Sources) -> str:
    """A name made of the folder that holds images and annotations, or of the annotation file."""
    root = common_folder(sources.images, sources.train)
    found = Path(root).name if root else sources.train.stem
    return re.sub(r'[^A-Za-z0-9.]+', '-', found).strip('-.').lower() or 'plan'


def _check_folder(folder: Path) -> None:
    if folder.is_dir() and any(folder.iterdir()) and not (folder / PLAN).is_file():
        raise ValueError(f'{folder} exists and is no plan. Choose another --name or --out.')


def _remove_older(folder: Path) -> None:
    """Remove the configs of an earlier plan; what else is in the folder stays."""
    if (folder / PLAN).is_file():
        older = json.loads((folder / PLAN).read_text())
        for file in (DATASET, COPY_PASTE, *(f'{name}.py' for name in older['configs'].values())):
            (folder / file).unlink(missing_ok=True)


def find_machine(request: Request) -> tuple[Machine, str]:
    """The machine of the trainings, and a detector for it.

    Raises:
        ValueError: if a detector that needs a GPU is planned where there is none, or a number is
            out of its range.
    """
    for option, value, least in (('--gpus', request.gpus, 0), ('--epochs', request.epochs, 1)):
        if value is not None and value < least:
            raise ValueError(f'{option} expects a number from {least} on, got {value}.')
    if request.memory is not None and request.memory <= 0:
        raise ValueError(f'--memory expects GB above 0, got {request.memory:g}.')
    found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    gpus = found if request.gpus is None else request.gpus
    memory = request.memory
    if memory is None and found:
        memory = round(torch.cuda.get_device_properties(0).total_memory / 2**30, 1)
    detector = request.detector or (DEFAULT if gpus else SMALL)
    if not gpus and detector != SMALL:
        raise ValueError(f'--detector {detector} needs a GPU, and there is none here. Say what the '
                         f'machine of the training has: --gpus N --memory GB, or take {SMALL}.')
    return Machine(gpus, memory), detector
