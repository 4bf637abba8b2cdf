"""Images without boxes, and what a model learns from them."""
from typing import Any

from torch import nn


def image_level_datasets(dataset: Any) -> list[Any]:
    """The datasets inside any nesting of wrappers whose samples say a ``source``.

    Args:
        dataset: possibly inside wrappers, or several in one.
    """
    if hasattr(dataset, 'source'):
        return [dataset]
    inner = getattr(dataset, 'datasets', None) or [getattr(dataset, 'dataset', None)]
    return [found for part in inner if part is not None for found in image_level_datasets(part)]


def check_image_level_data(model: nn.Module, dataset: Any) -> None:
    """Refuse images without boxes that a model would take for others, or learn nothing from.

    Args:
        model: the detector.
        dataset: of the training.

    Raises:
        ValueError: naming the dataset and the cure.
    """
    found = image_level_datasets(dataset)
    if not found:
        return
    names = ', '.join(dict.fromkeys(type(part).__name__ for part in found))
    if not hasattr(model, 'needs_image_labels'):
        raise ValueError(
            f'{names} has coarse boxes by rule, and {type(model).__name__} would take them for '
            'boxes of objects. Use an ImageSupervisedDetector or a RichSemDINO, or leave it out.')
    if model.needs_image_labels and not any(
            part.get_cat_ids(index) for part in found for index in range(len(part))):
        cures = ['set with_labels=True', 'name the classes in its data']
        if any(hasattr(module, 'semantic_branch') for module in model.modules()):
            cures.append('give the head a semantic_branch, which does without')
        raise ValueError(
            f'{names} has not one image with a class, and of others {type(model).__name__} learns '
            f'nothing: {", or ".join(cures)}.')
