"""Fingerprint of all that a feature bank depends on, and its differences.

The features of an image depend on the weights and the settings of all that runs before the
classifier, on the annotations, on the pipelines and on the code. Losses, predictors, augmenters,
calibrators, samplers and schedules come after the bank and are free.
"""
import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mmdet import __version__ as mmdet_version
from mmdet.registry import DATASETS
from mmengine.config import Config, ConfigDict
from mmengine.fileio import get
from torch import Tensor

# Layers that learn in stage 2, and what belongs to them: these may differ from the bank's.
CLASSIFIER_PARTS = frozenset({'fc_cls', 'fc_reg', 'loss_cls', 'loss_bbox', 'augmenters',
                              'calibrator', 'mask_head'})
# Settings of the parts before the classifier that no feature and no proposal depends on.
_FREE = frozenset({'init_cfg', 'loss_cls', 'loss_bbox', 'cls_predictor_cfg', 'reg_predictor_cfg',
                   'bbox_coder', 'reg_class_agnostic', 'reg_decoded_bbox', 'frozen_blocks',
                   'frozen_stages', 'norm_eval', 'with_cp'})
# In the RPN the coder does decide.
_FREE_RPN = _FREE - {'bbox_coder'}
# Wrappers that repeat images of the dataset in them.
REPEATING = ('RepeatDataset', 'ClassBalancedDataset')
_SPLITS = ('train', 'val', 'test')
_PACKAGE = Path(__file__).parents[1]
# Code of this package that features, proposals and stored boxes come from. What learns or acts
# after the bank, such as losses, is not in it; the files of a bank have a FORMAT of their own.
_SOURCES = (
    'compat/mmcv_ops.py', 'datasets/transforms/*.py', 'feature_bank/extraction.py',
    'feature_bank/views.py', 'models/augmenters/box_generator.py', 'models/backbones/*.py',
    'models/dense_heads/*_rpn_head.py', 'models/detectors/decoupled_two_stage.py',
    'models/detectors/folded_module.py',
    'models/roi_heads/frozen_roi_extractor.py', 'ops/row_roi_align.py')


def is_extractor(name: str) -> bool:
    """True if a tensor of a state dict acts before the classifier, the RPN included."""
    return CLASSIFIER_PARTS.isdisjoint(name.split('.'))


def weight_digests(weights: Mapping[str, Tensor]) -> dict[str, str]:
    """A digest of the weights of each part before the classifier.

    Args:
        weights: state dict of a detector.

    Returns:
        By the name of the part: 'weights.backbone', 'weights.rpn_head' and so on.
    """
    digests = {}
    for name in sorted(weights):
        plain = name.removeprefix('module.')
        if is_extractor(plain) and not plain.endswith('num_batches_tracked'):
            digest = digests.setdefault(f'weights.{plain.split(".")[0]}', hashlib.blake2b())
            digest.update(plain.encode())
            digest.update(weights[name].detach().cpu().contiguous().numpy().tobytes())
    return {part: digest.hexdigest()[:32] for part, digest in digests.items()}


def config_settings(cfg: Config, limits_negatives: bool) -> dict[str, str]:
    """The settings that features, proposals and stored boxes depend on, by their dotted names.

    Args:
        cfg: of a stage 1 or a stage 2.
        limits_negatives: whether the bank has some of the negatives only; which boxes are
            negative is then the assigner's choice.
    """
    model = cfg.model
    parts = {
        'model.data_preprocessor': (model.get('data_preprocessor'), frozenset()),
        'model.backbone': (model.backbone, _FREE),
        'model.neck': (model.get('neck'), _FREE),
        'model.rpn_head': (model.rpn_head, _FREE_RPN),
        'model.roi_head.bbox_roi_extractor': (model.roi_head.bbox_roi_extractor, _FREE),
        'model.roi_head.shared_head': (model.roi_head.get('shared_head'), _FREE),
        'model.roi_head.bbox_head': (model.roi_head.bbox_head, _FREE),
        'model.train_cfg.rpn_proposal': (
            model.train_cfg.get('rpn_proposal', model.test_cfg.rpn), frozenset()),
        'model.test_cfg.rpn': (model.test_cfg.rpn, frozenset()),
    }
    if limits_negatives:
        parts['model.train_cfg.rcnn.assigner'] = model.train_cfg.rcnn.assigner, frozenset()
    return {name: value for prefix, (part, free) in parts.items()
            for name, value in _flatten(prefix, part, free)}


def dataset_settings(split: str, dataset: ConfigDict) -> dict[str, str]:
    """The settings of a dataset that decide what its images are like, and its annotations' digest.

    Args:
        split: name for the settings.
        dataset: config of a dataset or of wrappers around it.
    """
    settings, inner = {}, dataset
    while 'dataset' in inner:
        if inner.get('type') not in REPEATING:
            settings |= dict(_flatten(f'{split}.{inner.type}.pipeline', inner.get('pipeline'),
                                      frozenset()))
        inner = inner.dataset
    for key in ('filter_cfg', 'pipeline', 'indices'):
        settings |= dict(_flatten(f'{split}.{key}', inner.get(key), frozenset()))
    return settings | {f'{split}.annotations': annotation_digest(inner)}


def annotation_digest(dataset: ConfigDict) -> str:
    """A digest of the annotation file of a dataset without wrappers."""
    unloaded = DATASETS.build(dict(dataset, lazy_init=True))
    path = Path(unloaded.ann_file)
    if path.is_file():
        return file_digest(path)
    # In a storage service, or missing, which its reader names.
    return hashlib.blake2b(get(unloaded.ann_file, unloaded.backend_args)).hexdigest()[:32]


def file_digest(path: Path) -> str:
    """A digest of the content of a file."""
    digest = hashlib.blake2b()
    with path.open('rb') as file:
        while chunk := file.read(2**22):
            digest.update(chunk)
    return digest.hexdigest()[:32]


def evaluated_splits(cfg: Config) -> dict[str, ConfigDict]:
    """The datasets of a config by split; 'test' only if it is another one than 'val'."""
    loaders = {split: cfg.get(f'{split}_dataloader') for split in _SPLITS}
    splits = {split: loader.dataset for split, loader in loaders.items() if loader}
    if splits.get('test') == splits.get('val'):
        splits.pop('test', None)
    return splits


def code_versions() -> dict[str, str]:
    """The code that features come from: mmdet's version, and digests of files of this package.

    A digest is that of the text, whatever ends its lines. It does not know comments from code.
    """
    paths = [path for pattern in _SOURCES for path in sorted(_PACKAGE.glob(pattern))]
    return {'mmdet.__version__': mmdet_version} | {
        f'{_PACKAGE.name}/{path.relative_to(_PACKAGE).as_posix()}':
        hashlib.blake2b(path.read_text(encoding='utf-8').encode()).hexdigest()[:32]
        for path in paths}


def differences(of_bank: Mapping[str, str], here: Mapping[str, str]) -> list[str]:
    """Differences, as ``name: in the bank, here``; names that one of them lacks are '-'."""
    return [f'{name}: {of_bank.get(name, "-")} in the bank, {here.get(name, "-")} here'
            for name in sorted(of_bank.keys() | here.keys())
            if of_bank.get(name) != here.get(name)]


def _flatten(name: str, value: Any, free: frozenset[str]) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key in value:
            if key not in free:
                yield from _flatten(f'{name}.{key}', value[key], free)
    elif isinstance(value, list | tuple) and any(isinstance(v, Mapping) for v in value):
        for index, item in enumerate(value):
            yield from _flatten(f'{name}[{index}]', item, free)
    elif value is not None:
        plain = list(value) if isinstance(value, list | tuple) else value
        yield name, repr(getattr(plain, '__name__', plain))
