"""The same classes, in number and order, for the model and all the data it meets."""
from collections.abc import Sequence
from typing import Any

from mmengine.dataset import BaseDataset
from torch import nn

# Parts of a detector that tell other things apart: images of ImageNet, objects from background,
# stuff, things together with stuff.
OTHER_CLASSES = {'backbone', 'rpn_head', 'semantic_head', 'panoptic_fusion_head'}


def innermost_dataset(dataset: Any) -> Any:
    """The dataset inside any nesting of wrappers (repeat, class-balanced, multi-image mix)."""
    while not isinstance(dataset, BaseDataset) and hasattr(dataset, 'dataset'):
        dataset = dataset.dataset
    return dataset


def class_names(dataset: Any) -> Sequence[str] | None:
    """Names of the classes of a dataset, in label order; None if it does not tell.

    Args:
        dataset: possibly inside wrappers.
    """
    return (getattr(innermost_dataset(dataset), 'metainfo', None) or {}).get('classes')


def class_source(dataset: Any) -> str:
    """Where the classes of a dataset come from, for messages: its annotation file, if it has one.

    Args:
        dataset: without wrappers.
    """
    return getattr(dataset, 'ann_file', '') or type(dataset).__name__


def check_class_counts(model: nn.Module, dataset: Any) -> None:
    """Refuse a model of which some part has another number of classes than the dataset.

    Every module with an attribute ``num_classes`` is looked at (heads, losses, indicators,
    augmenters), except those of :data:`OTHER_CLASSES` and those that leave it None.

    Args:
        model: the detector.
        dataset: possibly inside wrappers; passes if it knows no class names.

    Raises:
        ValueError: naming every module and its number of classes.
    """
    dataset, classes = innermost_dataset(dataset), class_names(dataset)
    if classes is None:
        return
    expected = len(classes)
    counts = {f'{name} ({type(module).__name__})': module.num_classes
              for name, module in model.named_modules()
              if getattr(module, 'num_classes', None) is not None
              and OTHER_CLASSES.isdisjoint(name.split('.'))}
    if any(count != expected for count in counts.values()):
        listing = ', '.join(f'{name}: {count}' for name, count in counts.items())
        raise ValueError(
            f'{type(dataset).__name__} has {expected} classes ({class_source(dataset)}), but the '
            f'model has {listing}. Set num_classes={expected} in the bbox_head and the mask_head, '
            'or choose the annotation file that the model is made for.')


def check_class_order(dataset: Any, learned: Sequence[str] | None, learned_from: str) -> None:
    """Refuse a dataset whose classes differ from those that a model learns, or in their order.

    Labels are positions in the list of classes: in another order, predictions get wrong names and
    the evaluation is meaningless. Lists of different length are :func:`check_class_counts`'s.

    Args:
        dataset: evaluated dataset, possibly inside wrappers; passes if it knows no class names.
        learned: names of the classes in the order of the model's labels; None if unknown.
        learned_from: file that they come from, for the message.

    Raises:
        ValueError: naming the first difference and both files.
    """
    dataset, classes = innermost_dataset(dataset), class_names(dataset)
    if classes is None or learned is None:
        return
    for label, (here, there) in enumerate(zip(classes, learned, strict=False)):
        if here != there:
            raise ValueError(
                f'Label {label} is {here!r} in {class_source(dataset)}, but {there!r} in '
                f'{learned_from}. Evaluate on a file with the same categories in the same order, '
                'or remove ClassCheckHook from the config if only the spelling differs.')
