"""What the metrics of LVIS and COCO-LT have in common."""
import logging
from abc import abstractmethod
from collections.abc import Sequence

import numpy as np
import torch
from mmdet.structures.mask import encode_mask_results
from mmengine.evaluator import BaseMetric
from mmengine.fileio import dump, get_local_path
from mmengine.logging import print_log

from ..functional import Detections, GroupedResult
from ..functional.arguments import IOU_TYPES, check_positive_int
from ..functional.detections import as_mask_array, mask_areas


class GroupedAPMetric(BaseMetric):
    """AP of boxes and masks, over all categories and over groups of them.

    A subclass says how annotations are read and detections evaluated. Every image of ``ann_file``
    counts: one without predictions is missed.

    Args:
        ann_file: path of the annotations. Label i of a prediction means its i-th category, in the
            order of the file, as in mmdet's data sets.
        metric: 'bbox', 'segm' or both.
        max_dets: largest number of detections, of what :attr:`cap_scope` says.
        classwise: whether to log the AP of each category, too.
        outfile_prefix: where to keep the predictions, as COCO result dicts in
            ``{outfile_prefix}.bbox.json`` and ``{outfile_prefix}.segm.json``; None keeps nothing.
        backend_args: file backend to read ``ann_file`` with; None is the local disk.
        collect_device: 'cpu' or 'gpu'; see :class:`mmengine.evaluator.BaseMetric`.
        prefix: prefix of the reported names; None is the subclass's.
        collect_dir: see :class:`mmengine.evaluator.BaseMetric`.

    Raises:
        FileNotFoundError: if ``ann_file`` is missing.
        ValueError: if ``ann_file`` lacks a field that evaluation needs, or an argument is not among
            the allowed.
    """
    # For the log: what is evaluated, and what max_dets limits.
    benchmark: str
    cap_scope: str

    # Whether the area of a detected mask is its own or that of its box.
    drop_box_for_segm = True

    def __init__(self,
                 ann_file: str,
                 metric: str | Sequence[str] = 'bbox',
                 max_dets: int = 100,
                 classwise: bool = False,
                 outfile_prefix: str | None = None,
                 backend_args: dict | None = None,
                 collect_device: str = 'cpu',
                 prefix: str | None = None,
                 collect_dir: str | None = None) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix, collect_dir=collect_dir)
        self.metrics = [metric] if isinstance(metric, str) else list(metric)
        if not self.metrics or not set(self.metrics) <= set(IOU_TYPES):
            raise ValueError(f'{type(self).__name__}(metric=) expects some of {IOU_TYPES}, '
                             f'got {metric}.')
        check_positive_int(max_dets, f'{type(self).__name__}(max_dets=)')
        self.max_dets = max_dets
        self.classwise = classwise
        self.outfile_prefix = outfile_prefix
        with get_local_path(ann_file, backend_args=backend_args) as local_path:
            self.annotations = self.load_annotations(local_path, 'segm' in self.metrics)
        self.category_ids = np.array([c['id'] for c in self.annotations['categories']])

    @abstractmethod
    def load_annotations(self, ann_file: str, with_masks: bool) -> dict:
        """Read and check the ground truth.

        Args:
            ann_file: path of a local file.
            with_masks: whether 'segm' is evaluated.
        """

    @abstractmethod
    def evaluate_detections(self, detections: Detections, iou_type: str) -> GroupedResult:
        """Evaluate the detections of all images.

        Args:
            detections: at most all that the detector gave.
            iou_type: 'bbox' or 'segm'.
        """

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Keep the predictions of a batch as arrays, one entry for each image.

        Args:
            data_batch: not used.
            data_samples: with ``img_id`` and ``pred_instances``: ``bboxes`` (n, 4) as (x1, y1, x2,
                y2) in pixels of the original image, ``scores`` (n,), ``labels`` (n,) and, for
                'segm', ``masks``, (n, h, w) bool or a list of compressed run-length encodings, and
                maybe ``mask_scores`` (n,), which then rank the masks.

        Raises:
            ValueError: if a label has no category in the annotations, or masks are missing.
        """
        for sample in data_samples:
            instances = sample['pred_instances']
            prediction = {
                'img_id': sample['img_id'],
                **{key: instances[key].detach().cpu().numpy()
                   for key in ('bboxes', 'scores', 'labels', 'mask_scores') if key in instances},
            }
            num_categories = len(self.category_ids)
            if (prediction['labels'] >= num_categories).any():
                raise ValueError(
                    f'{type(self).__name__}(ann_file=) expects labels below {num_categories}, its '
                    f'number of categories, got {prediction["labels"].max()}. '
                    'Set num_classes of the head to that number.')
            if 'segm' in self.metrics:
                if 'masks' not in instances:
                    raise ValueError(
                        f'{type(self).__name__}(metric=) expects predictions with masks for '
                        f"'segm', got {sorted(instances)}. Set metric='bbox' for a detector "
                        'without masks.')
                masks = instances['masks']
                prediction['masks'] = encode_mask_results(masks.detach().cpu().numpy()) \
                    if isinstance(masks, torch.Tensor) else masks
            self.results.append(prediction)

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Evaluate the predictions of all images.

        Args:
            results: what :meth:`process` kept, of all ranks.

        Returns:
            ``bbox_AP`` and so on.
        """
        predictions = self._one_per_image(results)
        metrics = {}
        for iou_type in self.metrics:
            detections = self._detections(predictions, iou_type)
            if self.outfile_prefix is not None:
                self._dump(predictions, detections, iou_type)
            result = self.evaluate_detections(detections, iou_type)
            summary = result.summary()
            print_log(self._report(iou_type, result, summary), logger='current')
            metrics.update({f'{iou_type}_{name}': value for name, value in summary.items()})
        return metrics

    def _one_per_image(self, results: list[dict]) -> list[dict]:
        """The first prediction of each image.

        MMEngine cuts off what its sampler padded, so repeated images mean another sampler or data
        set; counting them twice would make false positives of right detections.
        """
        by_image = {}
        for prediction in results:
            by_image.setdefault(prediction['img_id'], prediction)
        num_repeated = len(results) - len(by_image)
        num_missed = len(self.annotations['images']) - len(by_image)
        if num_repeated > 0 or num_missed > 0:
            print_log(
                f'{type(self).__name__} got predictions for {len(by_image)} of '
                f'{len(self.annotations["images"])} images: the others count as missed. '
                f'{num_repeated} repeated predictions are left out.',
                logger='current', level=logging.WARNING)
        return list(by_image.values())

    def _detections(self, predictions: list[dict], iou_type: str) -> Detections:
        scores = 'scores'
        if iou_type == 'segm' and any('mask_scores' in p for p in predictions):
            scores = 'mask_scores'
        region = boxes = _boxes_xywh(predictions)
        area = boxes[:, 2] * boxes[:, 3]
        if iou_type == 'segm':
            region = as_mask_array([mask for p in predictions for mask in p['masks']])
            if self.drop_box_for_segm:
                area = mask_areas(region)
        return Detections(
            image_id=np.repeat(
                np.array([p['img_id'] for p in predictions], dtype=np.int64),
                [len(p['labels']) for p in predictions]),
            category_id=self.category_ids[_concatenate(predictions, 'labels').astype(np.int64)],
            score=_concatenate(predictions, scores).astype(np.float64),
            area=area,
            region=region)

    def _dump(self, predictions: list[dict], detections: Detections, iou_type: str) -> None:
        records = [{'image_id': image_id, 'category_id': category_id, 'score': score}
                   for image_id, category_id, score in zip(
                       detections.image_id.tolist(), detections.category_id.tolist(),
                       detections.score.tolist(), strict=True)]
        if iou_type == 'segm':
            for record, mask in zip(records, detections.region, strict=True):
                record['segmentation'] = _as_text(mask)
        # A box beside a mask means that the box decides the size.
        if iou_type == 'bbox' or not self.drop_box_for_segm:
            for record, box in zip(records, _boxes_xywh(predictions).tolist(), strict=True):
                record['bbox'] = box
        dump(records, f'{self.outfile_prefix}.{iou_type}.json')

    def _report(self, iou_type: str, result: GroupedResult, summary: dict[str, float]) -> str:
        known = ~np.isnan(result.class_ap())
        groups = np.array(result.groups)
        counts = [int((known & (groups == group)).sum()) for group in result.group_names]
        weighted = sum(count * summary[f'AP{group}']
                       for group, count in zip(result.group_names, counts, strict=True) if count)
        group_aps = ', '.join(f'AP{group}' for group in result.group_names)
        lines = [
            f'{self.benchmark} {iou_type} AP, at most {self.max_dets} detections {self.cap_scope}, '
            f'{sum(counts)} of {len(groups)} categories with ground truth',
            ''.join(f'{name:>8}' for name in summary),
            ''.join(f'{value:8.4f}' for value in summary.values()),
            # A check of the grouping: every category that counts is in one group.
            f'mean of {group_aps} over their {" + ".join(map(str, counts))} categories: '
            f'{weighted / max(sum(counts), 1):.4f} (AP {summary["AP"]:.4f})',
        ]
        if self.classwise:
            lines += [f'{"AP":>8}{"AP50":>8}{"AP75":>8}  group  category']
            lines += [
                f'{ap:8.4f}{ap50:8.4f}{ap75:8.4f}  {group:^5}  '
                f'{category.get("name", category["id"])}'
                for ap, ap50, ap75, group, category in zip(
                    result.class_ap(), result.class_ap(iou=0.5), result.class_ap(iou=0.75),
                    groups, result.categories, strict=True)
            ]
        return '\n'.join(lines)


def _concatenate(predictions: list[dict], key: str) -> np.ndarray:
    return np.concatenate([p[key] for p in predictions]) if predictions else np.zeros(0)


def _boxes_xywh(predictions: list[dict]) -> np.ndarray:
    # Float64 before the subtraction: widths as exact as the corners are.
    boxes = _concatenate(predictions, 'bboxes').astype(np.float64).reshape(-1, 4)
    boxes[:, 2:] -= boxes[:, :2]
    return boxes


def _as_text(mask: dict) -> dict:
    """A run-length encoding that JSON can hold."""
    counts = mask['counts']
    return {'size': list(mask['size']),
            'counts': counts.decode() if isinstance(counts, bytes) else counts}
