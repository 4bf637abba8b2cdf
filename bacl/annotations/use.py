"""Uses of annotation files: what a file is read for decides what it has to have."""
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Use:
    """The use that is made of an annotation file, which decides what the file has to have.

    Args:
        format_name: 'COCO' or 'LVIS', for messages.
        image_fields: what every image must have besides its id.
        annotation_fields: what every annotation must have besides its image and category.
        category_fields: what every category must have.
        purpose: 'training', 'evaluation', or 'prediction', which needs no annotations. None for
            anything else.
        masks: whether masks are used.
        name_field: the field of an image that its path is made from; None if none is opened.
        min_size: pixels; training leaves out images with a shorter side.
        filters_empty: whether training leaves out images without an annotation.
        drops_empty: whether it leaves out those without a usable one, too.
    """

    format_name: str
    image_fields: Sequence[str] = ()
    annotation_fields: Sequence[str] = ()
    category_fields: Sequence[str] = ('id', 'name')
    purpose: str | None = None
    masks: bool = False
    name_field: str | None = None
    min_size: int = 0
    filters_empty: bool = False
    drops_empty: bool = False
