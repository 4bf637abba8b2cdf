"""A config turned over to a feature bank."""
from pathlib import Path
from typing import Any

from bacl.compat.checkpoints import load_weights
from bacl.engine.running.config_types import resolve_type
from bacl.models.detectors import DecoupledTwoStageDetector
from mmdet.models.detectors import FasterRCNN, MaskRCNN, TwoStageDetector
from mmdet.registry import MODELS
from mmengine.config import Config, ConfigDict
from mmengine.registry import init_default_scope

from .fingerprint import (
    code_versions,
    config_settings,
    dataset_settings,
    differences,
    evaluated_splits,
    weight_digests,
)
from .storage import FeatureBankError, read_meta

_LOADER = dict(num_workers=0, persistent_workers=False)


def to_feature_bank(cfg: Config, root: str, training: bool = True) -> None:
    """Let a run read all that is frozen in its detector from a bank.

    Datasets keep their annotations, wrappers and samplers, the detector its heads, losses, hooks
    and schedule; pipelines and extractor give way to the bank. Of masks there is nothing to
    evaluate: metrics are those of boxes.

    Args:
        cfg: of a stage 2, or for a test of any Faster or Mask R-CNN, with ``load_from``; changed in
            place.
        root: folder of the bank.
        training: whether it is to be trained.

    Raises:
        FeatureBankError: if the bank is not whole, or is not one of the weights of ``load_from``,
            of the settings of this config or of its annotations; names what differs.
        ValueError: if the extractor of the config learns.
    """
    init_default_scope(cfg.get('default_scope') or 'mmdet')
    meta = read_meta(root)
    _check_detector(cfg, training)
    check_fits(cfg, root, meta, training)
    jittered = training and _wants_jittered_boxes(cfg)
    if jittered and not meta['options']['jitters']:
        raise FeatureBankError(f'The augmenter of this config wants jittered boxes, and the bank '
                               f'{root} has none. Build it with --jitters 2.')
    imports = cfg.get('custom_imports') or dict(imports=[], allow_failed_imports=False)
    cfg.custom_imports = dict(imports, imports=[*imports['imports'], 'bacl.feature_bank'])
    cfg.model.update(type='FeatureBankDetector', feature_bank=str(root))
    cfg.model.data_preprocessor = dict(type='StoredDataPreprocessor')
    cfg.model.backbone.pop('init_cfg', None)
    if cfg.model.roi_head.get('mask_head'):  # it never runs: see FeatureBankDetector
        for key in ('val_evaluator', 'test_evaluator'):
            _evaluate_boxes(cfg.get(key))
    splits = evaluated_splits(cfg)
    for split in ('train', 'val', 'test'):
        loader = cfg.get(f'{split}_dataloader')
        if loader:
            stored = split if split in splits else 'val'
            loader.dataset = _over_bank(loader.dataset, dict(
                type='LoadFeatureBankSample', root=str(root), split=stored,
                jittered=jittered and split == 'train'))
            loader.update(_LOADER)
            loader.pop('prefetch_factor', None)


def check_fits(cfg: Config, root: str, meta: dict[str, Any], training: bool) -> None:
    """Refuse a bank of other weights, settings, annotations or code.

    Args:
        cfg: with ``load_from``.
        root: folder of the bank.
        meta: of the bank.
        training: whether the training split is used.

    Raises:
        FeatureBankError: naming what differs.
    """
    num_classes = cfg.model.roi_head.bbox_head.get('num_classes', 80)
    if num_classes != meta['num_classes']:
        raise FeatureBankError(f'The bank {root} has {meta["num_classes"]} classes, bbox_head has '
                               f'num_classes={num_classes}. Build a bank with this config.')
    here = code_versions() | config_settings(cfg, meta['options']['negatives'] is not None)
    splits = {split: dataset for split, dataset in evaluated_splits(cfg).items()
              if training or split != 'train'}
    if not splits.keys() <= set(meta['splits']):
        raise FeatureBankError(f'The bank {root} has the splits {", ".join(meta["splits"])}, this '
                               f'config {", ".join(splits)}. Build a bank with this config.')
    for split, dataset in splits.items():
        here |= dataset_settings(split, dataset)
    weights = load_weights(cfg.load_from, map_location='cpu')
    here |= weight_digests(weights.get('state_dict', weights))
    of_bank = {name: value for name, value in meta['fingerprint'].items()
               if name.partition('.')[0] not in {'train', 'val', 'test'} - splits.keys()}
    found = differences(of_bank, here)
    if found:
        listing = '\n  '.join(found[:10] + [f'and {len(found) - 10} more'] * (len(found) > 10))
        raise FeatureBankError(
            f'The bank {root}, built with {meta["checkpoint"]}, does not fit this run of '
            f'{cfg.load_from}:\n  {listing}\nBuild a bank for it: python '
            'tools/build_feature_bank.py CONFIG CHECKPOINT --out NEW_FOLDER; or run without '
            '--feature-bank.')


def _check_detector(cfg: Config, training: bool) -> None:
    kind = resolve_type(cfg.model, MODELS, cfg.get('default_scope'))
    name = getattr(kind, '__name__', cfg.model.get('type'))
    if kind not in (TwoStageDetector, FasterRCNN, MaskRCNN, DecoupledTwoStageDetector):
        raise FeatureBankError(f'--feature-bank expects a Faster or Mask R-CNN or a '
                               f'DecoupledTwoStageDetector, got {name}.')
    if training and kind is not DecoupledTwoStageDetector:
        raise FeatureBankError(
            f'--feature-bank expects a config of stage 2, whose DecoupledTwoStageDetector is '
            f'frozen before the classifier, got {name}, which learns features. Train it without '
            '--feature-bank.')


def _wants_jittered_boxes(cfg: Config) -> bool:
    """True if an augmenter of the model has a box generator; builds the RoI head to ask."""
    head = cfg.model.roi_head
    if not (head.get('augmenter') or head.get('hallucinator')):
        return False
    built = MODELS.build(dict(head, train_cfg=cfg.model.train_cfg.rcnn,
                              test_cfg=cfg.model.test_cfg.rcnn))
    return any(augmenter.box_generator is not None
               for augmenter in getattr(built, 'augmenters', ()))


def _evaluate_boxes(evaluators: ConfigDict | list[ConfigDict] | None) -> None:
    for evaluator in evaluators if isinstance(evaluators, list | tuple) else [evaluators]:
        if evaluator and 'segm' in (evaluator.get('metric') or ()):
            evaluator.metric = 'bbox'


def _over_bank(dataset: ConfigDict, load: dict[str, Any]) -> ConfigDict:
    """A dataset that loads from the bank, in the wrappers that repeat its images."""
    if 'datasets' in dataset:
        raise FeatureBankError(f'A feature bank expects one dataset, got {dataset.type} of '
                               f'{len(dataset.datasets)}. Train without a bank.')
    if 'dataset' not in dataset:
        return ConfigDict(dataset, pipeline=[load])
    inner = _over_bank(dataset.dataset, load)
    # What mixes images has done so when the bank was built.
    return inner if 'pipeline' in dataset else ConfigDict(dataset, dataset=inner)


def checkpoint_of_bank(root: str) -> str | None:
    """Path of the checkpoint that a bank was built with; None if it is no longer there.

    Raises:
        FeatureBankError: if there is no such bank, or if it is not whole.
    """
    path = read_meta(root)['checkpoint']
    return path if Path(path).is_file() else None
