"""Checkpoints of the official BACL repository (MMDetection 2.x), made into checkpoints of ours."""
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from bacl.engine.checking.load_report import compare_weights, shortened
from torch import Tensor, nn

# Names of what the second stage collects, the official one -> ours. Every other tensor belongs to a
# component whose names are the same in mmdet 2.x and 3.x. A group is of use only as a whole: sums
# without their counts, or the counts of another indicator, mean nothing.
TRAINING_STATE = (
    {
        'roi_head.bbox_head.loss_cls.cm_numerator':
            'roi_head.bbox_head.loss_cls.indicator.score_sum',
        'roi_head.bbox_head.loss_cls.num_gt': 'roi_head.bbox_head.loss_cls.indicator.num_samples',
    },
    {
        'roi_head.bbox_head.feature_prototype': 'roi_head.augmenters.0.distribution.mean',
        'roi_head.bbox_head.feature_variance': 'roi_head.augmenters.0.distribution.var',
        'roi_head.bbox_head.feature_used': 'roi_head.augmenters.0.distribution.is_known',
    },
)
# mmcv keeps the average of the weights, or while it evaluates the weights themselves, in a second
# copy; the plain names hold what was evaluated.
_AVERAGE_PREFIX = 'ema_'


@dataclass(frozen=True)
class Conversion:
    """A converted checkpoint and what became of every entry.

    Attributes:
        checkpoint: ``state_dict``, and ``meta`` with the classes if the original names them.
        kept: names of tensors that are the same in both.
        renamed: name in the original -> name in the converted checkpoint.
        dropped: names in the original that nothing was made of.
        lacking: names in the model, state of indicators or augmenters that the original does
            not have: it is not needed for inference, and training starts it from its beginning.
    """

    checkpoint: dict[str, Any]
    kept: list[str]
    renamed: dict[str, str]
    dropped: list[str]
    lacking: list[str]

    def __str__(self) -> str:
        sections = (
            ('kept', self.kept),
            ('renamed', [f'{old} -> {new}' for old, new in self.renamed.items()]),
            ('dropped', self.dropped),
            ('lacking (collected by training, not needed for inference)', self.lacking),
        )
        return '\n'.join('\n  '.join([f'{len(names)} {title}', *names])
                         for title, names in sections)


def refuse_official_checkpoint(checkpoint: dict[str, Any], name: str) -> None:
    """Point to the converter if a checkpoint is one of MMDetection 2.x.

    Most of its tensors would fit. What stage 2 has collected would be left out, and its classes,
    which stand elsewhere, would not be compared with those of the data.

    Args:
        checkpoint: as read from the file; the values of tensors do not matter.
        name: of the argument and the file, for the message.

    Raises:
        ValueError: if it is one.
    """
    meta = checkpoint.get('meta') or {}
    if 'mmengine_version' in meta:
        return
    names = checkpoint.get('state_dict') or {}
    collected = [old for group in TRAINING_STATE for old in group if old in names]
    version = str(meta.get('mmdet_version', ''))
    if collected or version.startswith('2.'):
        found = f'MMDetection {version}' if version else f'the official BACL with {collected[0]}'
        raise ValueError(
            f'{name} is a checkpoint of {found}. Convert it: '
            'python tools/model_converters/convert_official_bacl.py CONFIG CHECKPOINT OUT '
            '(CONFIG is that of its detector).')


def convert_official_checkpoint(checkpoint: dict[str, Any], model: nn.Module) -> Conversion:
    """Convert a checkpoint of the official repository for a model of ours.

    Faster and Mask R-CNN, both stages and the softmax baseline. The official background class is
    the last, as here; its feature variance is a variance; its mask predictor normalises with
    another epsilon than mmdet's ``NormedConv2d``, which changes a logit by about 1e-6 of its value.

    A checkpoint of stage 1 fits a model of stage 2 and the other way round. Softmax and sigmoid
    classifiers have the same tensors, and mmdet 2.x records neither: the model has to have the loss
    that the checkpoint was trained with.

    Args:
        checkpoint: as read from the file; not changed.
        model: the detector, which decides names, shapes and types.

    Returns:
        The converted checkpoint, whose tensors may share memory with the original's.

    Raises:
        TypeError: if it is no dict.
        ValueError: if it is no checkpoint of mmdet 2.x, if a tensor that inference needs is missing
            or of another shape, or if it has a tensor that the model has no place for.
    """
    if not isinstance(checkpoint, dict):
        raise TypeError('convert_official_checkpoint(checkpoint=) expects a dict as torch.load '
                        f'returns it, got {type(checkpoint).__name__}.')
    meta = checkpoint.get('meta') or {}
    weights = _weights(checkpoint, meta)
    state = model.state_dict()
    renamed = {}
    for group in TRAINING_STATE:
        if group.keys() <= weights.keys() and state.keys() >= set(group.values()):
            renamed.update(group)
    unusable = {old for group in TRAINING_STATE for old in group} - renamed.keys()
    dropped = [name for name in weights if name in unusable or name.startswith(_AVERAGE_PREFIX)]
    converted = {renamed.get(name, name): tensor for name, tensor in weights.items()
                 if name not in dropped}
    report = compare_weights(model, converted)
    problems = {'missing': report.missing, 'of another shape': report.misfit,
                'unknown to the model': report.unused}
    if any(problems.values()):
        listing = '; '.join(f'{len(names)} {problem}: {shortened(names)}'
                            for problem, names in problems.items() if names)
        raise ValueError(
            f'The checkpoint does not fit the config: {listing}. Choose the config with the '
            'detector, the backbone and the classes that it was trained with; only checkpoints of '
            'the official BACL repository are converted.')
    classes = meta.get('CLASSES')
    return Conversion(
        checkpoint=dict(
            meta=dict(dataset_meta=dict(classes=tuple(classes))) if classes else {},
            state_dict=OrderedDict((name, tensor.detach().to(state[name].dtype))
                                   for name, tensor in converted.items())),
        kept=[name for name in report.loaded if name not in renamed.values()],
        renamed=renamed,
        dropped=[*dropped, *(key for key in checkpoint if key not in ('meta', 'state_dict'))],
        lacking=report.new)


def _weights(checkpoint: dict[str, Any], meta: dict[str, Any]) -> dict[str, Tensor]:
    if 'mmengine_version' in meta:
        raise ValueError('convert_official_checkpoint(checkpoint=) expects a checkpoint of mmdet '
                         f'2.x, got one of mmengine {meta["mmengine_version"]}. '
                         'It needs no conversion.')
    weights = checkpoint.get('state_dict')
    if not isinstance(weights, dict) or not all(isinstance(v, Tensor) for v in weights.values()):
        raise ValueError('convert_official_checkpoint(checkpoint=) expects tensors in its '
                         f"'state_dict', got the keys {shortened(list(map(str, checkpoint)))}. "
                         'It is no checkpoint of the official BACL repository.')
    return {name.removeprefix('module.'): tensor for name, tensor in weights.items()}
