"""Weight norms of the classifiers of finished trainings, by frequency group (Fig. 5)."""
import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from bacl.annotations import ClassTable, read_annotations
from bacl.compat.checkpoints import load_weights
from bacl.engine.probing.class_values import norms_of_weights
from bacl.engine.running.dataset_configs import unwrapped_datasets
from bacl.engine.running.seed_table import TRAINING, spread
from bacl.engine.running.work_dir import find_checkpoint
from mmdet.registry import DATASETS
from mmengine.config import Config
from mmengine.registry import init_default_scope

from .run_files import find_config

MEAN, CORRELATION = 'mean', 'rank correlation'


def find_trainings(folders: Sequence[Path]) -> dict[str, list[Path]]:
    """Work_dirs by what was trained in them.

    Args:
        folders: each that of a training or, with a folder for each in ``trainings``, of a sweep.

    Returns:
        Of a training its folder; of a sweep, which names them after it, the finished ones of each
        config with each settings, one for each seed.

    Raises:
        FileNotFoundError: if a sweep has no finished training.
    """
    found: dict[str, list[Path]] = {}
    for folder in folders:
        if not (folder / 'trainings').is_dir():
            found.setdefault(folder.name, []).append(folder)
            continue
        paths = sorted(folder.glob(f'trainings/*/{TRAINING}'))
        if not paths:
            raise FileNotFoundError(f'{folder}/trainings has no folder with {TRAINING}. Let the '
                                    'sweep end.')
        for path in paths:
            run = json.loads(path.read_text())
            settings = (f'{key}={value}' for key, value in run['settings'].items())
            name = ' '.join([f'{folder.name}:', Path(run['config']).stem, *settings])
            found.setdefault(name, []).append(path.parent)
    return found


def weight_norms(folder: Path, tables: dict[str, ClassTable]) -> dict[str, float]:
    """Norms in the last checkpoint of a training.

    Args:
        folder: work_dir, with its config.
        tables: of the classes of datasets by their configs, so that each is read once; that of
            this training is added.

    Returns:
        The mean over all classes; the mean over each frequency group, divided by that of all; and
        the rank correlation of norm and number of training images.

    Raises:
        FileNotFoundError: if config, checkpoint or the annotations of the training are missing.
        ValueError: if the model has no single linear classifier, or the data have no groups.
    """
    config, checkpoint = find_config(folder), find_checkpoint(folder)
    if config is None or checkpoint is None:
        raise FileNotFoundError(f'{folder} expects a config (*.py) and a checkpoint of a training, '
                                f'got {config} and {checkpoint}.')
    cfg = Config.fromfile(config)
    init_default_scope(cfg.get('default_scope') or 'mmdet')
    dataset = dict(next(unwrapped_datasets(cfg.train_dataloader.dataset)), lazy_init=True,
                   pipeline=[])
    if str(dataset) not in tables:
        unloaded = DATASETS.build(dataset)
        tables[str(dataset)] = unloaded.tabulate(
            read_annotations(unloaded.ann_file, unloaded.backend_args))
    classes = tables[str(dataset)]
    if not classes.groups:
        raise ValueError(f'{config} expects training data with frequency groups, got none.')
    weights = load_weights(str(checkpoint), map_location='cpu')
    stages = norms_of_weights(weights.get('state_dict', weights).items(), classes.num_classes)
    if len(stages) != 1:
        raise ValueError(f'{checkpoint} expects one linear classifier, got {len(stages)}.')
    norms, = stages
    groups = classes.mean_by_group(norms / norms.mean())
    rank = pd.Series(classes.image_count).rank()
    return {MEAN: float(norms.mean())} | {
        f'{key} / {MEAN}': value for key, value in groups.items()} | {
        CORRELATION: float(rank.corr(pd.Series(norms).rank()))}


def format_norms(trainings: dict[str, list[Path]]) -> str:
    """A Markdown table: mean ± standard deviation over the trainings of each name.

    Args:
        trainings: of :func:`find_trainings`.

    Raises:
        FileNotFoundError, ValueError: see :func:`weight_norms`.
    """
    tables: dict[str, ClassTable] = {}
    norms = {name: [weight_norms(folder, tables) for folder in folders]
             for name, folders in trainings.items()}
    keys = list(dict.fromkeys(key for runs in norms.values() for run in runs for key in run))
    keys.sort(key=CORRELATION.__eq__)  # groups of several datasets stay together
    lines = [['training', 'runs', *keys], ['---'] * (len(keys) + 2)]
    lines += [[name, str(len(runs)), *(spread([run.get(key) for run in runs], scale=1, digits=2)
                                       for key in keys)] for name, runs in norms.items()]
    return ''.join(f'| {" | ".join(line)} |\n' for line in lines)
