"""The configs of a plan as text: what they add to the shared bases, and nothing else."""
import os
from collections.abc import Mapping
from math import ceil
from pathlib import Path
from typing import Any

from bacl.annotations.group_thresholds import GROUP_THRESHOLDS
from mmengine.config import Config

from .decisions import MAX_CHECKPOINTS, Settings
from .detectors import Detector
from .pairs import DataPaths
from .sides import DATASETS

_WIDTH = 100  # characters of a line
DATASET, COPY_PASTE = 'dataset.py', 'dataset_copy-paste.py'
_BELOW_THE_LAST = ('num_classes', 'test_dataloader', 'test_evaluator')  # without an empty line
HOOKS = [
    dict(type='LongTermIndicatorHook'),
    dict(type='ShortTermIndicatorHook', reweight_start=0, hallucination_start=0),
]


class Expression(str):
    """Python that stands in a config as it is."""


def render(value: Any, indent: int = 0, used: int = 0) -> str:
    """Python for a value, in one line if it fits, dictionaries as calls of ``dict``.

    Args:
        value: numbers, texts, lists, tuples, dictionaries and :class:`Expression`.
        indent: of the line that it stands in.
        used: characters in front of and behind it in this line, besides the indent.

    Example:
        >>> print(render({'a': [1, (2, 3)], 'b': Expression('_base_.b')}))
        dict(a=[1, (2, 3)], b=_base_.b)
    """
    line = _in_one_line(value)
    if len(line) + indent + used <= _WIDTH or not isinstance(value, Mapping | list):
        return line
    inner = ' ' * (indent + 4)
    if isinstance(value, Mapping):
        items = [f'{inner}{key}={render(item, indent + 4, len(key) + 2)},'
                 for key, item in value.items()]
        items[-1] = items[-1][:-1] + ')'
        return '\n'.join(['dict(', *items])
    items = [f'{inner}{render(item, indent + 4, 1)},' for item in value]
    return '\n'.join(['[', *items, ' ' * indent + ']'])


def _in_one_line(value: Any) -> str:
    if isinstance(value, Expression):
        return str(value)
    if isinstance(value, Mapping):
        return f'dict({", ".join(f"{key}={_in_one_line(item)}" for key, item in value.items())})'
    if isinstance(value, list):
        return f'[{", ".join(map(_in_one_line, value))}]'
    if isinstance(value, tuple):
        inner = ', '.join(map(_in_one_line, value))
        return f'({inner},)' if len(value) == 1 else f'({inner})'
    return repr(value)


def config_text(comment: str, bases: str | list[str], blocks: Mapping[str, Any]) -> str:
    """The text of a config.

    Args:
        comment: its first line.
        bases: paths from its folder.
        blocks: settings by name.
    """
    head = render(bases)
    if isinstance(bases, list) and len(bases) > 2:  # as in the other configs
        head = '\n'.join(['[', *(f'    {base!r},' for base in bases), ']'])
    text = f'# {comment}\n_base_ = {head}\n'
    for name, value in blocks.items():
        gap = '' if name in _BELOW_THE_LAST else '\n'
        text += f'{gap}{name} = {render(value, used=len(name) + 3)}\n'
    return text


def make_configs(name: str, comment: str, folder: Path, bases: Path, paths: DataPaths,
                 settings: Settings, detector: Detector, num_classes: int) -> dict[str, str]:
    """The configs of a plan.

    Args:
        name: of the plan.
        comment: about the data, a line.
        folder: of the configs.
        bases: ``configs/_base_``.
        paths: of the data.
        settings: of the plan.
        detector: its detector.
        num_classes: C.

    Returns:
        Texts by name of the file: of the dataset, of stage 1, of the baseline, and of stage 2.
    """
    base = Path(os.path.relpath(bases.resolve(), folder.resolve())).as_posix()
    data_base = detector.recipe.datasets[paths.formats['train'] if settings.is_lvis else 'COCO']
    base_type = Config.fromfile(bases / f'datasets/{data_base}.py').dataset_type
    texts = {DATASET: config_text(
        f'{name}: {comment}', f'{base}/datasets/{data_base}.py',
        _data_blocks(base_type, paths, settings, detector, num_classes))}
    if settings.canvas:
        texts[COPY_PASTE] = _copy_paste_text(name, base, settings, detector)
    names = config_names(name, detector.name)
    stage1_data = COPY_PASTE if settings.canvas else DATASET
    recipe = detector.recipe
    runs = {
        'stage1': (recipe.stage1, stage1_data, 0, 'Stage 1 of BACL'),
        'baseline': (recipe.baseline, DATASET, 2, 'Baseline: softmax cross entropy (SCE)'),
        'stage2': (recipe.stage2, DATASET, 1, 'Stage 2 of BACL'),
    }
    for run, (model, data, schedule, title) in runs.items():
        blocks: dict[str, Any] = {}
        if run == 'stage2':
            blocks['stage1_config'] = f'./{names["stage1"]}.py'
        blocks['model'] = _model(run, settings, detector)
        blocks.update(_schedule(schedule, settings, detector,
                                recipe.weight_decay if run == 'stage1' else None))
        if run == 'stage2':
            blocks['custom_hooks'] = HOOKS
        texts[f'{names[run]}.py'] = config_text(
            f'{title}, {name}, {settings.epochs[schedule]} epochs, {_batch(settings)}.',
            [f'{base}/{model}', f'./{data}', f'{base}/{recipe.schedules[schedule]}',
             f'{base}/default_runtime.py'], blocks)
    return texts


def config_names(name: str, detector: str) -> dict[str, str]:
    """Names of the configs of a plan, by run."""
    return {run: f'{detector}_{method}_{name}' for run, method in (
        ('stage1', 'bacl-stage1'), ('baseline', 'sce'), ('stage2', 'bacl-stage2'))}


def _batch(settings: Settings) -> str:
    if settings.gpus == 1:
        return f'{settings.images_per_gpu} images a step'
    return f'{settings.gpus} GPUs x {settings.images_per_gpu} images'


def _data_blocks(base_type: str, paths: DataPaths, settings: Settings, detector: Detector,
                 num_classes: int) -> dict[str, Any]:
    types = {key: DATASETS[value].__name__ for key, value in paths.formats.items()}
    blocks: dict[str, Any] = dict(data_root=paths.root, num_classes=num_classes)
    pipelines = _pipelines(settings, detector)
    blocks.update(pipelines)
    for split in ('train', 'val'):
        dataset: dict[str, Any] = dict(data_root=Expression('data_root'))
        if types[split] != base_type:
            dataset = dict(type=types[split], **dataset)
        dataset.update(ann_file=paths.ann_files[split],
                       data_prefix=dict(img=paths.prefixes[split]))
        if not settings.is_lvis and settings.group_thresholds != GROUP_THRESHOLDS:
            dataset['group_thresholds'] = settings.group_thresholds
        pipeline = f'{"train" if split == "train" else "test"}_pipeline'
        if pipeline in pipelines:
            dataset['pipeline'] = Expression(pipeline)
        loader: dict[str, Any] = dict(dataset=dataset)
        base_batch = detector.recipe.images_per_step // detector.recipe.gpus
        if split == 'train' and settings.images_per_gpu != base_batch:
            loader = dict(batch_size=settings.images_per_gpu, **loader)
        blocks[f'{split}_dataloader'] = loader
    blocks['test_dataloader'] = Expression('val_dataloader')
    blocks['val_evaluator'] = _evaluator(paths, settings, detector)
    blocks['test_evaluator'] = Expression('val_evaluator')
    return blocks


def _evaluator(paths: DataPaths, settings: Settings, detector: Detector) -> dict[str, Any]:
    train, val = (Expression(f'data_root + {paths.ann_files[split]!r}')
                  for split in ('train', 'val'))
    evaluator: dict[str, Any] = dict(ann_file=val)
    if not settings.is_lvis:
        evaluator['train_ann_file'] = train
        if settings.group_thresholds != GROUP_THRESHOLDS:
            evaluator['group_thresholds'] = settings.group_thresholds
    if detector.recipe.datasets['COCO'] == detector.recipe.datasets['LVIS']:
        # One base for all formats, whose metric has more than fits here.
        kind = 'FastLVISMetric' if settings.is_lvis else 'CocoLTMetric'
        return dict(_delete_=True, type=kind, **evaluator, metric='bbox',
                    max_dets=settings.max_dets)
    if not settings.is_lvis and settings.max_dets != detector.max_dets:
        evaluator['max_dets'] = settings.max_dets
    return evaluator


def _pipelines(settings: Settings, detector: Detector) -> dict[str, list]:
    """The pipelines that differ from those of the base, as what they change of them."""
    if detector.train_scales:
        if settings.scale == detector.scale:
            return {}
        long_side, short_side = settings.scale
        factor = short_side / detector.scale[1]
        resize = dict(type='RandomChoiceResize', scales=[
            (long_side, round(short * factor)) for _, short in detector.train_scales],
            keep_ratio=True)
        train = [Expression('*_base_.train_pipeline[:2]'), resize,
                 Expression('*_base_.train_pipeline[3:]')]
    else:
        if not settings.resizes_training:
            return {}
        resize = dict(type='Resize', scale=settings.scale, keep_ratio=True)
        train = [Expression('*_base_.train_pipeline[:2]'), resize,
                 Expression('*_base_.train_pipeline[2:]')]
    test = [Expression('_base_.test_pipeline[0]'),
            dict(type='Resize', scale=settings.scale, keep_ratio=True),
            Expression('*_base_.test_pipeline[2:]')]
    return dict(train_pipeline=train, test_pipeline=test)


def _copy_paste_text(name: str, base: str, settings: Settings, detector: Detector) -> str:
    blocks: dict[str, Any] = {}
    pipeline = '_base_.single_image_pipeline'
    if settings.canvas != detector.canvas:
        blocks['canvas'] = (settings.canvas, settings.canvas)
        blocks['single_image_pipeline'] = [
            Expression(f'*{pipeline}[:2]'),
            Expression(f'dict({pipeline}[2], scale=canvas)'),
            Expression(f'dict({pipeline}[3], crop_size=canvas)'),
            Expression(f'*{pipeline}[4:7]'),
            Expression(f"dict({pipeline}[7], transforms=[dict(type='Pad', size=canvas)])")]
        pipeline = 'single_image_pipeline'
    blocks['train_dataloader'] = dict(dataset=dict(
        _delete_=True, type='MultiImageMixDataset',
        dataset=Expression(f'dict(_base_.train_dataloader.dataset, pipeline={pipeline})'),
        pipeline=Expression('_base_.copy_paste_pipeline')))
    return config_text(
        f'{name}; training images with Copy-Paste on {settings.canvas} x {settings.canvas}.',
        [f'./{DATASET}', f'{base}/datasets/lvis_copy-paste_pipelines.py'], blocks)


def _model(run: str, settings: Settings, detector: Detector) -> dict[str, Any]:
    recipe = detector.recipe
    model: dict[str, Any] = {}
    if recipe.backbone:
        model['backbone'] = recipe.backbone if run != 'stage2' else dict(
            depth=recipe.backbone['depth'])
    base, anchors = detector.anchors, settings.anchors
    changed = {key: list(getattr(anchors, key)) for key in ('scales', 'ratios', 'strides')
               if getattr(anchors, key) != getattr(base, key)}
    if 'strides' in changed:
        model['neck'] = dict(num_outs=len(anchors.strides))
    if changed:
        model['rpn_head'] = dict(anchor_generator=changed)
    head: dict[str, Any] = dict(num_classes=Expression('_base_.num_classes'))
    if run == 'baseline' and recipe.loss:
        head.update(recipe.loss)
    roi_head: dict[str, Any] = dict(bbox_head=head)
    if run == 'stage2' and settings.sampled_classes != detector.sampled_classes:
        roi_head['hallucinator'] = dict(num_sampled_classes=settings.sampled_classes)
    model['roi_head'] = roi_head
    position = 1 if run == 'baseline' else 0
    if settings.proposals != detector.proposals:
        model['train_cfg'] = dict(rpn_proposal=dict(max_per_img=settings.proposals[position]))
        model['test_cfg'] = dict(rpn=dict(max_per_img=settings.proposals[2]))
    if settings.max_per_img != detector.max_per_img:
        model.setdefault('test_cfg', {})['rcnn'] = dict(max_per_img=settings.max_per_img)
    return model


def _schedule(position: int, settings: Settings, detector: Detector,
              weight_decay: float | None) -> dict[str, Any]:
    base: Config = detector.schedules[position]
    epochs = settings.epochs[position]
    batch = settings.images_per_gpu * settings.gpus
    blocks: dict[str, Any] = {}
    if epochs != base.train_cfg.max_epochs:
        blocks['train_cfg'] = dict(max_epochs=epochs)
        if 'val_interval' in base.train_cfg:
            blocks['train_cfg']['val_interval'] = epochs
    if epochs != base.train_cfg.max_epochs or settings.warmup != detector.warmup:
        blocks['param_scheduler'] = [
            _scaled(scheduler, epochs, settings, detector) for scheduler in base.param_scheduler]
    optimizer: dict[str, Any] = {}
    if settings.learning_rate != detector.learning_rate:
        optimizer['lr'] = settings.learning_rate
    if weight_decay is not None:
        optimizer['weight_decay'] = weight_decay
    if optimizer:
        blocks['optim_wrapper'] = dict(optimizer=optimizer)
    if batch != detector.recipe.images_per_step:
        blocks['auto_scale_lr'] = dict(base_batch_size=batch)
    if epochs > 2 * MAX_CHECKPOINTS:
        blocks['default_hooks'] = dict(
            checkpoint=dict(interval=ceil(epochs / MAX_CHECKPOINTS)))
    return blocks


def _scaled(scheduler: Mapping[str, Any], epochs: int, settings: Settings,
            detector: Detector) -> dict[str, Any]:
    """A scheduler of the base for another number of epochs, warm-up and learning rate."""
    scaled = dict(scheduler)
    if not scaled['by_epoch']:
        return dict(scaled, end=settings.warmup)
    factor = epochs / scaled['end']
    scaled['end'] = epochs
    if 'milestones' in scaled:
        scaled['milestones'] = sorted({
            min(max(1, round(milestone * factor)), epochs) for milestone in scaled['milestones']})
    if 'T_max' in scaled:
        scaled['T_max'] = epochs
    if 'eta_min' in scaled:
        scaled['eta_min'] *= settings.learning_rate / detector.learning_rate
    return scaled
