"""Detections as a COCO file that needs no other: images, categories, and boxes with scores."""
import json
import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from bacl.compat.atomic_files import PARTIAL


class CocoFile:
    """A COCO file that grows image by image; as a context manager.

    Its ``annotations`` have a ``score``: they are what evaluations call results. Memory grows with
    the number of images, not with that of detections. The file appears when all is written; an
    error leaves none.

    Args:
        path: of the file, whose folder is there.
        categories: records with ``id`` and ``name``.
    """

    def __init__(self, path: str | os.PathLike, categories: Sequence[dict]) -> None:
        self.path = Path(path)
        self._categories = list(categories)
        self._images: list[dict] = []
        self.num_objects = 0

    def __enter__(self) -> 'CocoFile':
        self._partial = self.path.with_name(self.path.name + PARTIAL)
        self._file = self._partial.open('w', encoding='utf-8')
        self._file.write(f'{{"categories": {json.dumps(self._categories)},\n"annotations": [')
        return self

    def add(self, file_name: str, width: int, height: int, objects: Sequence[dict]) -> None:
        """Write the objects of an image.

        Args:
            file_name: of the image.
            width: in pixels.
            height: the same.
            objects: with ``category_id``, ``bbox`` (x, y, w, h), ``score`` and maybe
                ``segmentation``; ids, area and so on are added.
        """
        image_id = len(self._images) + 1
        self._images.append(dict(id=image_id, file_name=file_name, width=width, height=height))
        for record in objects:
            self.num_objects += 1
            separator = ',\n' if self.num_objects > 1 else '\n'
            self._file.write(separator + json.dumps(dict(
                record, id=self.num_objects, image_id=image_id, iscrowd=0,
                area=record['bbox'][2] * record['bbox'][3])))

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        with self._file:
            if kind is None:
                self._file.write(f'],\n"images": {json.dumps(self._images)}}}\n')
        if kind is None:
            os.replace(self._partial, self.path)
        else:
            self._partial.unlink(missing_ok=True)
