"""One number of classes for the dataset and everything in the model that has one."""
from typing import Any

from mmengine.dataset import BaseDataset
from torch import nn


def innermost_dataset(dataset: Any) -> Any:
    """The dataset inside any nesting of wrappers (repeat, class-balanced, multi-image mix)."""
    while not isinstance(dataset, BaseDataset) and hasattr(dataset, 'dataset'):
        dataset = dataset.dataset
    return dataset


def check_class_counts(model: nn.Module, dataset: Any) -> None:
    """Refuse a model of which some part has another number of classes than the dataset.

    Every module with an attribute ``num_classes`` is looked at (heads, losses, indicators,
    hallucinators), except the RPN, which knows only one class.

    Args:
        model: the detector.
        dataset: with ``metainfo['classes']``, possibly inside wrappers.

    Raises:
        ValueError: naming every module and its number of classes.
    """
    dataset = innermost_dataset(dataset)
    expected = len(dataset.metainfo['classes'])
    counts = {f'{name} ({type(module).__name__})': module.num_classes
              for name, module in model.named_modules()
              if hasattr(module, 'num_classes') and not name.endswith('rpn_head')}
    if any(count != expected for count in counts.values()):
        listing = ', '.join(f'{name}: {count}' for name, count in counts.items())
        raise ValueError(
            f'{type(dataset).__name__} has {expected} classes ({dataset.ann_file}), but the model '
            f'has {listing}. Set num_classes={expected} in the bbox_head, in its loss_cls and in '
            'the mask_head, or choose the annotation file that the model is made for.')
