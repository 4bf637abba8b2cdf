"""What is in each image of a dataset, without its pictures."""
from collections.abc import Iterator
from typing import Any


def image_labels(dataset: Any) -> Iterator[list[int]]:
    """Labels of the objects of each image, one image after the other.

    Args:
        dataset: detection dataset of mmdet, or a wrapper with its ``get_data_info``. Images that
            it leaves out, and instances that it ignores, such as crowds, do not count.
    """
    for index in range(len(dataset)):
        yield [instance['bbox_label'] for instance in dataset.get_data_info(index)['instances']
               if not instance['ignore_flag']]
