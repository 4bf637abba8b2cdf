"""A pipeline's transform that takes an image from a feature bank."""
from typing import Any

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmdet.registry import MODELS, TRANSFORMS
from mmdet.structures import DetDataSample
from mmengine.model import BaseDataPreprocessor
from mmengine.structures import InstanceData

from .storage import open_table


@MODELS.register_module()
class StoredDataPreprocessor(BaseDataPreprocessor):
    """Moves samples to the device of the model; on a CPU, where they are, it costs nothing."""

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """See mmengine's ``BaseDataPreprocessor``."""
        return data if self.device.type == 'cpu' else super().forward(data, training)


@TRANSFORMS.register_module()
class LoadFeatureBankSample(BaseTransform):
    """Gives what a pipeline and the frozen part of a detector give of an image, from a bank.

    In training the view of the image and the draw of its jittered boxes are chosen at random.

    Args:
        root: folder of the bank.
        split: 'train', 'val' or 'test'.
        jittered: whether to load jittered boxes.
    """

    def __init__(self, root: str, split: str, jittered: bool = False) -> None:
        self.table = open_table(root, split)
        self.split = split
        self.jittered = jittered

    def transform(self, results: dict[str, Any]) -> dict[str, Any] | None:
        """Replace the record of an image by its sample.

        Args:
            results: with ``img_id`` and ``img_path``.

        Returns:
            ``data_samples`` with ground truth and proposals, these with the number of their
            ``view``, and ``inputs``: ``rows`` (R,) of the ``split``, ``boxes`` (R, 4) of these,
            and ``jittered``, how many of them, the last ones, are jittered. None if the image was
            left out of the bank.
        """
        views = self.table.views(results['img_id'])
        if not len(views):
            return None
        view = views[np.random.randint(len(views))] if len(views) > 1 else views[0]
        first, proposals, gts, ignored = (
            int(view[name]) for name in ('first_row', 'proposals', 'gts', 'ignored'))
        rows = np.arange(first, first + proposals + gts + ignored)
        boxes = self.table.boxes(first, first + len(rows))
        jittered = int(view['jittered']) if self.jittered else 0
        meta = dict(img_id=results['img_id'], img_path=results['img_path'],
                    img_shape=tuple(view['img_shape'].tolist()),
                    ori_shape=tuple(view['ori_shape'].tolist()), flip=bool(view['flip']))
        if not np.isnan(view['scale_factor'][0]):
            meta['scale_factor'] = tuple(view['scale_factor'].tolist())
        sample = DetDataSample()
        for name, value in meta.items():  # DetDataSample(metainfo=) would copy them deeply
            sample.set_field(value, name, field_type='metainfo')
        as_tensors = torch.from_numpy(boxes).split([proposals, gts, ignored])
        labels = torch.from_numpy(self.table.labels(first + proposals, first + len(rows)))
        sample.proposals = InstanceData(bboxes=as_tensors[0])
        sample.proposals.set_field(first, 'view', field_type='metainfo')
        if 'instances' in results:
            sample.gt_instances = InstanceData(bboxes=as_tensors[1], labels=labels[:gts])
            if ignored:
                sample.ignored_instances = InstanceData(bboxes=as_tensors[2],
                                                        labels=labels[gts:])
        if jittered:
            draw = np.random.randint(view['draws'])
            start = first + len(rows) + draw * jittered
            rows = np.concatenate([rows, np.arange(start, start + jittered)])
            boxes = np.concatenate([boxes, self.table.boxes(start, start + jittered)])
        inputs = dict(split=self.split, rows=rows, boxes=boxes, jittered=jittered)
        return dict(inputs=inputs, data_samples=sample)
