"""Masks that are stored as small as they are."""
from __future__ import annotations

from collections.abc import Iterable, Sequence

import cv2
import mmcv
import numpy as np
from mmdet.structures.bbox import BaseBoxes, HorizontalBoxes, get_box_type
from mmdet.structures.mask import BitmapMasks

Corner = tuple[int, int]  # x, y of the upper left pixel


def crop_tightly(mask: np.ndarray) -> tuple[np.ndarray, Corner]:
    """Cut off what surrounds the object.

    Args:
        mask: ``(H, W)``, not 0 where the object is.

    Returns:
        The smallest crop with all of the object, ``(h, w)``, uint8, 0 or 1, a copy that cannot be
        written to; and its corner. ``(0, 0)`` at (0, 0) if there is no object.
    """
    if mask.dtype != np.uint8:
        mask = (mask != 0).view(np.uint8)
    if not mask.size:
        x = y = width = height = 0
    elif mask.flags.f_contiguous:  # as pycocotools decodes; OpenCV would copy all of it
        y, x, height, width = cv2.boundingRect(mask.T)
    else:
        x, y, width, height = cv2.boundingRect(mask)
    crop = np.array(mask[y:y + height, x:x + width] != 0, order='C').view(np.uint8)
    crop.flags.writeable = False
    return crop, (x, y)


def nearest_neighbours(old_size: int, new_size: int) -> np.ndarray:
    """Return which of the old pixels of a line becomes each of the new ones, ``(new_size,)``.

    Found by resizing the pixels' numbers, so that it holds whatever rule the library rounds by.
    """
    numbers = np.arange(old_size)
    low, high = (
        mmcv.imresize(byte.astype(np.uint8)[None], (new_size, 1), interpolation='nearest')[0]
        for byte in (numbers % 256, numbers // 256))
    return low + 256 * high.astype(np.intp)


class CroppedMasks(BitmapMasks):
    """Bitmap masks of which only the rectangle around each object is stored.

    The objects of an image cover a small part of it. Rescaling, cropping, flipping, padding,
    selecting, copying and sending these masks to another process costs as much as the objects
    are large, instead of N times the image. The results are those of
    :class:`mmdet.structures.mask.BitmapMasks`, bit by bit. Whatever is not overridden here works
    on the full bitmaps, and returns ``BitmapMasks``.

    Args:
        masks: N masks ``(H, W)``, not 0 where the object is.
        height: H, pixels.
        width: W, pixels.

    Attributes:
        crops: N arrays ``(h, w)``, uint8, 0 or 1, tight around the object; ``(0, 0)`` for an
            empty mask. Read-only, because several ``CroppedMasks`` share them.
        corners: Corner of each crop.

    Raises:
        ValueError: if a mask is not of height H and width W.
    """

    def __init__(self, masks: Iterable[np.ndarray], height: int, width: int) -> None:
        self.height = height
        self.width = width
        self.crops: list[np.ndarray] = []
        self.corners: list[Corner] = []
        for mask in masks:
            if mask.shape != (height, width):
                raise ValueError(f'CroppedMasks(masks=) expects masks of shape {(height, width)}, '
                                 f'got {mask.shape}. Resize or pad them first.')
            self._append(mask, (0, 0))

    def _append(self, part: np.ndarray, corner: Corner) -> None:
        crop, (x, y) = crop_tightly(part)
        self.crops.append(crop)
        self.corners.append((corner[0] + x, corner[1] + y) if crop.size else (0, 0))

    @classmethod
    def from_parts(cls, parts: Iterable[tuple[np.ndarray, Corner]], height: int,
                   width: int) -> CroppedMasks:
        """Make masks of parts of them.

        Args:
            parts: For each object a part of its mask, not 0 where the object is, and the corner of
                the part. There is nothing of the object outside the part, and nothing of the part
                outside the image.
            height: Of the image, pixels.
            width: Of the image, pixels.
        """
        masks = cls([], height, width)
        for part, corner in parts:
            masks._append(part, corner)
        return masks

    def _like(self, crops: list[np.ndarray], corners: list[Corner]) -> CroppedMasks:
        """Return masks of the same height and width, of tight crops."""
        masks = CroppedMasks([], self.height, self.width)
        masks.crops, masks.corners = crops, corners
        return masks

    def _located_crops(self) -> Iterable[tuple[np.ndarray, Corner]]:
        return zip(self.crops, self.corners, strict=True)

    @property
    def masks(self) -> np.ndarray:
        """The full bitmaps, ``(N, H, W)``, uint8, made anew each time: what is written is lost."""
        masks = np.zeros((len(self), self.height, self.width), np.uint8)
        for mask, (crop, (x, y)) in zip(masks, self._located_crops(), strict=True):
            mask[y:y + crop.shape[0], x:x + crop.shape[1]] = crop
        return masks

    def __len__(self) -> int:
        return len(self.crops)

    def __getitem__(self, index: int | slice | np.ndarray) -> CroppedMasks:
        """Return the masks at ``index``; a single one as a sequence of one."""
        chosen = np.arange(len(self))[index].reshape(-1).tolist()
        return self._like([self.crops[i] for i in chosen], [self.corners[i] for i in chosen])

    def __deepcopy__(self, memo: dict) -> CroppedMasks:
        return self._like(self.crops.copy(), self.corners.copy())

    def __repr__(self) -> str:
        return (f'{type(self).__name__}(num_masks={len(self)}, height={self.height}, '
                f'width={self.width})')

    @classmethod
    def cat(cls, masks: Sequence[CroppedMasks]) -> CroppedMasks:
        """Put masks of images of one size together."""
        sizes = {(m.height, m.width) for m in masks}
        if len(sizes) != 1:
            raise ValueError('CroppedMasks.cat(masks=) expects masks of one height and width, got '
                             f'{sorted(sizes)}. Resize or pad them first.')
        return masks[0]._like([crop for m in masks for crop in m.crops],
                              [corner for m in masks for corner in m.corners])

    def rescale(self, scale: float | tuple[int, int],
                interpolation: str = 'nearest') -> BitmapMasks:
        """Resize as far as ``scale`` allows with the aspect ratio kept."""
        width, height = mmcv.rescale_size((self.width, self.height), scale)
        return self.resize((height, width), interpolation)

    def resize(self, out_shape: tuple[int, int], interpolation: str = 'nearest') -> BitmapMasks:
        """Resize to ``out_shape``, (h, w)."""
        if interpolation != 'nearest':
            return super().resize(out_shape, interpolation)
        rows = nearest_neighbours(self.height, out_shape[0])
        columns = nearest_neighbours(self.width, out_shape[1])

        def resize(crop: np.ndarray, corner: Corner) -> tuple[np.ndarray, Corner]:
            x, y = corner
            left, right = np.searchsorted(columns, (x, x + crop.shape[1])).tolist()
            top, bottom = np.searchsorted(rows, (y, y + crop.shape[0])).tolist()
            # Columns first: masks are mostly enlarged, and whole rows are copied faster.
            return crop[:, columns[left:right] - x][rows[top:bottom] - y], (left, top)

        return self.from_parts((resize(*part) for part in self._located_crops()), *out_shape)

    def flip(self, flip_direction: str = 'horizontal') -> CroppedMasks:
        """Flip in ``flip_direction``: horizontal, vertical or diagonal."""

        def flip(crop: np.ndarray, corner: Corner) -> tuple[np.ndarray, Corner]:
            x, y = corner
            if flip_direction != 'vertical':
                x = self.width - x - crop.shape[1]
            if flip_direction != 'horizontal':
                y = self.height - y - crop.shape[0]
            return mmcv.imflip(crop, flip_direction), (x, y)

        return self.from_parts(
            (flip(*part) for part in self._located_crops()), self.height, self.width)

    def pad(self, out_shape: tuple[int, int], pad_val: int = 0) -> BitmapMasks:
        """Extend to the right and below until ``out_shape``, (h, w)."""
        if pad_val or out_shape[0] < self.height or out_shape[1] < self.width:
            return super().pad(out_shape, pad_val)
        padded = CroppedMasks([], *out_shape)
        padded.crops, padded.corners = self.crops.copy(), self.corners.copy()
        return padded

    def crop(self, bbox: np.ndarray) -> CroppedMasks:
        """Cut out ``bbox``, (x1, y1, x2, y2), integers, as far as it is inside the image."""
        left, right = np.clip(bbox[0::2], 0, self.width).tolist()
        top, bottom = np.clip(bbox[1::2], 0, self.height).tolist()
        right, bottom = max(right, left + 1), max(bottom, top + 1)

        def cut(crop: np.ndarray, corner: Corner) -> tuple[np.ndarray, Corner]:
            x, y = corner
            inside = crop[max(top - y, 0):max(bottom - y, 0), max(left - x, 0):max(right - x, 0)]
            return inside, (max(x - left, 0), max(y - top, 0))

        return self.from_parts(
            (cut(*part) for part in self._located_crops()), bottom - top, right - left)

    def hide(self, cover: np.ndarray) -> CroppedMasks:
        """Remove what is behind ``cover``.

        Args:
            cover: ``(H, W)``, uint8, 1 where something stands in front, else 0.
        """
        return self.from_parts(
            ((crop & ~cover[y:y + crop.shape[0], x:x + crop.shape[1]], (x, y))
             for crop, (x, y) in self._located_crops()), self.height, self.width)

    def union(self) -> np.ndarray:
        """Return 1 where at least one object is, else 0, ``(H, W)``, uint8."""
        union = np.zeros((self.height, self.width), np.uint8)
        for crop, (x, y) in self._located_crops():
            union[y:y + crop.shape[0], x:x + crop.shape[1]] |= crop
        return union

    def get_bboxes(self, dst_type: str | type[BaseBoxes] = 'hbox') -> BaseBoxes:
        """Return tight boxes of type ``dst_type``; all zeros for an empty mask."""
        _, box_type = get_box_type(dst_type)
        if box_type is not HorizontalBoxes:
            return super().get_bboxes(dst_type)
        boxes = [(x, y, x + crop.shape[1], y + crop.shape[0])
                 for crop, (x, y) in self._located_crops()]
        return HorizontalBoxes(np.array(boxes, np.float32).reshape(-1, 4))

    @property
    def areas(self) -> np.ndarray:
        """Pixels of each object, ``(N,)``, uint64."""
        return np.array([np.count_nonzero(crop) for crop in self.crops], np.uint64)
