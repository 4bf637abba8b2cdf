"""The heads that a loss, predictor, augmenter and calibrator of this package can be in."""
import inspect
from collections.abc import Iterator
from typing import Any

import torch
from mmdet.models.dense_heads import DETRHead
from mmdet.utils import ConfigType
from mmengine.registry import Registry
from torch import nn

from .base import LongTailLoss

# Where mmdet's box heads turn the logits of an image into scores.
SCORING_METHOD = '_predict_by_feat_single'


def asks_for_scores(head: nn.Module) -> bool:
    """True if a head asks its loss for the scores of its logits when it predicts.

    mmdet's ``BBoxHead`` does, and so do its subclasses, unless they replace the method and neither
    ask themselves nor pass the logits on to their base. A head without that method, of somebody's
    own, asks if any of its methods does.
    """
    used = [(name, code.co_names) for base in type(head).__mro__
            for name, method in vars(base).items()
            if (code := getattr(inspect.unwrap(method), '__code__', None)) is not None]
    scoring = [names for name, names in used if name == SCORING_METHOD]
    if not scoring:
        return any('get_activation' in names for _, names in used)
    for names in scoring:
        if 'get_activation' in names:
            return True
        if SCORING_METHOD not in names:  # else it calls that of its base
            return False
    return False


def is_dense_head_of(loss: LongTailLoss, head: nn.Module) -> bool:
    """True if a head has sigmoid channels of its own, as many as a loss made for such heads."""
    if isinstance(head, DETRHead) and type(loss).observe is not LongTailLoss.observe:
        return False  # they leave calls out where a rank has no boxes, and others would wait for it
    # Heads of DETRs ask their loss. Other losses raise a TypeError if they are asked.
    has_sigmoid = getattr(head, 'use_sigmoid_cls', isinstance(head, DETRHead))
    return has_sigmoid and loss.use_sigmoid and \
        getattr(head, 'cls_out_channels', None) == loss.num_channels


def head_faults(model: nn.Module) -> Iterator[str]:
    """Heads of a model that do not do what a part in them relies on, in words.

    Args:
        model: a detector or a part of one.
    """
    for name, head in model.named_modules():
        loss = getattr(head, 'loss_cls', None)
        if isinstance(loss, LongTailLoss) and not is_dense_head_of(loss, head):
            where = f'{type(loss).__name__} in {type(head).__name__}' + f' ({name})' * bool(name)
            if not (loss.knows_its_head and asks_for_scores(head)):
                yield (f'{where}: the head does not ask its loss for the number of channels and '
                       'for the scores, so it would predict with a softmax')
            elif (size := getattr(getattr(head, 'fc_cls', None), 'out_features', None)) not in (
                    None, loss.num_channels):
                yield (f'{where}: the classifier of the head always has {size} outputs, the loss '
                       f'needs {loss.num_channels}')
        yield from _predictor_faults(name, head)
        yield from _augmenter_faults(name, head)
        is_open = any(hasattr(parent, 'augmenters') for parent in _parents(model, name))
        if hasattr(getattr(head, 'fc_cls', None), 'observe') and not is_open and name:
            yield (f'{type(head.fc_cls).__name__} in {type(head).__name__} ({name}): nobody calls '
                   'its observe(); put the head into a LongTailRoIHead or LongTailCascadeRoIHead')
        if (getattr(head, 'test_cfg', None) or {}).get('calibrator') and \
                hasattr(head, 'bbox_head') and not hasattr(head, 'calibrator'):
            yield (f'the calibrator in test_cfg of {type(head).__name__} ({name}): nobody calls '
                   'it; use a LongTailRoIHead or LongTailCascadeRoIHead')


def _predictor_faults(name: str, head: nn.Module) -> Iterator[str]:
    """What a predictor needs and the loss of its head does not have, in words."""
    predictor = getattr(head, 'fc_cls', None)
    where = f'{type(predictor).__name__} in {type(head).__name__}' + f' ({name})' * bool(name)
    if getattr(predictor, 'needs_background', False) and \
            predictor.out_features != head.num_classes + 1:
        yield (f'{where}: it has {predictor.out_features} outputs for {head.num_classes} classes, '
               'but it is for a loss over all classes and, last, the background')
    elif getattr(predictor, 'activation', None) == 'softmax' and not predicts_by_softmax(head):
        yield (f'{where}: its logits mean something under a softmax only, which is not that of '
               f'{type(head.loss_cls).__name__}')
    parents = [getattr(part, 'num_parents', ())
               for part in (predictor, getattr(head, 'loss_cls', None))]
    if parents[0] != parents[1]:
        yield (f'{where}: the trees of the classifier have {parents[0]} parents, those of '
               f'{type(head.loss_cls).__name__} {parents[1]}; ForestLinear and ForestLoss go '
               'together, with the same num_parents')


def _augmenter_faults(name: str, roi_head: nn.Module) -> Iterator[str]:
    """What an augmenter needs and the loss of its box head does not have, in words."""
    augmenters = getattr(roi_head, 'augmenters', ())
    for augmenter, head in zip(augmenters, roi_head.bbox_heads if augmenters else (), strict=False):
        if getattr(augmenter, 'activation', None) == 'softmax' and not predicts_by_softmax(head):
            yield (f'{type(augmenter).__name__} in {type(roi_head).__name__}'
                   + f' ({name})' * bool(name) + ': it is for a softmax over the classes and the '
                   f'background, which is not that of {type(head.loss_cls).__name__}')


def predicts_by_softmax(head: nn.Module) -> bool:
    """True if a head has C + 1 channels, and its scores are a softmax of its logits."""
    if hasattr(head, 'get_scores'):  # of its own
        return False
    if not head.custom_cls_channels:
        return True
    if head.loss_cls.get_cls_channels(head.num_classes) != head.num_classes + 1:
        return False
    logits = torch.linspace(-1, 1, head.num_classes + 1, device='cpu')[None]
    return torch.allclose(head.loss_cls.get_activation(logits), logits.softmax(dim=1), atol=1e-6)


def check_heads(model: nn.Module) -> None:
    """Refuse heads in which one of these parts would silently do something else.

    Args:
        model: a detector, or a RoI head.

    Raises:
        ValueError: naming each head and what is in it.
    """
    faults = list(head_faults(model))
    if faults:
        raise ValueError(
            '; '.join(faults) + ". Heads that work are mmdet's BBoxHead and those of its "
            'subclasses that keep its classifier and its prediction, such as Shared2FCBBoxHead '
            'and ConvFCBBoxHead.')


def tell_classifiers(model: nn.Module) -> None:
    """Tell each loss that has a method ``set_classifier`` the last layer of its head.

    Args:
        model: a detector or a part of one.
    """
    for head in model.modules():
        loss = getattr(head, 'loss_cls', None)
        for part in loss.modules() if isinstance(loss, LongTailLoss) else ():
            if hasattr(part, 'set_classifier') and hasattr(head, 'fc_cls'):
                part.set_classifier(head.fc_cls)


def check_when_built(registry: Registry) -> None:
    """Let a registry of models check the heads of what it builds, also in nobody's training.

    A head that computes scores itself would work without a word, with other scores; only who built
    it can tell. Modules without a part of this package are left alone. Losses that need it are told
    the classifier of their head.

    Args:
        registry: of mmdet, in which its detectors build their parts.
    """
    build = registry.build_func

    def build_and_check(cfg: ConfigType, *args: Any, **kwargs: Any) -> Any:
        model = build(cfg, *args, **kwargs)
        if isinstance(model, nn.Module):
            check_heads(model)
            tell_classifiers(model)
        return model

    registry.build_func = build_and_check


def _parents(model: nn.Module, name: str) -> list[nn.Module]:
    """The modules that a module is in, and the model itself."""
    parts = name.split('.')
    return [model.get_submodule('.'.join(parts[:depth])) for depth in range(len(parts))]
