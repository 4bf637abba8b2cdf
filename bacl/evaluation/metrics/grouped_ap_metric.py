"""The base of the metrics of LVIS and COCO-LT."""
import logging
from abc import abstractmethod
from collections.abc import Sequence

import numpy as np
import torch
from bacl.annotations import ClassTable
from bacl.annotations.columns import Records, is_integer
from mmdet.structures.mask import encode_mask_results
from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log

from ..functional import FIXED_AP_DETECTIONS, Detections, GroupedResult
from ..functional.arguments import IOU_TYPES, check_positive_int
from ..functional.detections import encoded_masks
from ..functional.records import write_records
from ..matching import EncodedMasks
from .predictions import Predictions
from .rank_files import collect_predictions


class GroupedAPMetric(BaseMetric):
    """AP of boxes and masks, over all categories and over groups of them.

    A subclass says how annotations are read and detections evaluated. Every image of ``ann_file``
    counts: one without predictions is missed.

    Args:
        ann_file: path or URL of the annotations. Label i of a prediction means its i-th category,
            in the order of the file, as in mmdet's data sets.
        metric: 'bbox', 'segm' or both.
        max_dets: largest number of detections, of what :attr:`cap_scope` says.
        classwise: whether to log the AP of each category, too.
        outfile_prefix: where to keep the predictions, as COCO result dicts in
            the local files ``{outfile_prefix}.bbox.json`` and ``{outfile_prefix}.segm.json``; None
            keeps nothing.
        backend_args: of mmengine's file backend; None finds the backend by the path.
        collect_device: 'cpu'; see :class:`mmengine.evaluator.BaseMetric`.
        prefix: prefix of the reported names; None is the subclass's.
        collect_dir: folder that all ranks share, through which the main process gets their results;
            None is the working directory. The files are removed.

    Raises:
        FileNotFoundError: if ``ann_file`` is missing.
        ValueError: if ``ann_file`` is not fit for evaluation, or an argument is not among the
            allowed.
    """
    # For the log: what is evaluated, and what max_dets limits.
    benchmark: str
    cap_scope: str

    # The categories in the order of the annotations, with groups; set by the subclass.
    class_table: ClassTable

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
        if collect_device != 'cpu':
            raise ValueError(f"{type(self).__name__}(collect_device=) expects 'cpu', because ranks "
                             'hand over their results in files of a folder that all share '
                             f'(collect_dir), got {collect_device}.')
        self.metrics = [metric] if isinstance(metric, str) else list(metric)
        if not self.metrics or not set(self.metrics) <= set(IOU_TYPES):
            raise ValueError(f'{type(self).__name__}(metric=) expects some of {IOU_TYPES}, '
                             f'got {metric}.')
        check_positive_int(max_dets, f'{type(self).__name__}(max_dets=)')
        self.max_dets = max_dets
        self.classwise = classwise
        self.outfile_prefix = outfile_prefix
        self.annotations = self.load_annotations(ann_file, 'segm' in self.metrics, backend_args)
        self.category_ids = np.array([c['id'] for c in self.annotations['categories']])

    @abstractmethod
    def load_annotations(self, ann_file: str, with_masks: bool,
                         backend_args: dict | None) -> dict:
        """Read and check the ground truth.

        Args:
            ann_file: path or URL.
            with_masks: whether 'segm' is evaluated.
            backend_args: of mmengine's file backend.
        """

    @abstractmethod
    def evaluate_detections(self, detections: Detections,
                            iou_type: str) -> dict[str, GroupedResult]:
        """Evaluate the detections of all images.

        Args:
            detections: at most all that the detector gave.
            iou_type: 'bbox' or 'segm'.

        Returns:
            Per prefix of the names of its numbers, '' first, a result.
        """

    @abstractmethod
    def evaluate_fixed(self, detections: Detections, iou_type: str,
                       max_dets_per_class: int = FIXED_AP_DETECTIONS) -> GroupedResult:
        """Evaluate the detections of all images by fixed AP.

        Args:
            detections: see :meth:`evaluate_detections`.
            iou_type: 'bbox' or 'segm'.
            max_dets_per_class: largest number of detections of one category, over all images.
        """

    @abstractmethod
    def is_object(self, annotation: dict) -> bool:
        """Tell whether an annotation is something to be found."""

    def warn_of_empty_groups(self) -> None:
        """Say which groups have nothing to evaluate: their AP is NaN, and AP is without them."""
        with_objects = {annotation['category_id'] for annotation in self.annotations['annotations']
                        if self.is_object(annotation)}
        evaluated = self.class_table.group_keys()[np.isin(self.category_ids, list(with_objects))]
        for group in self.class_table.groups:
            if group.key not in evaluated:
                print_log(f'{type(self).__name__}: AP{group.key} will be NaN, because no category '
                          f'of group {group.key} ({group.label}) has ground truth to evaluate.',
                          logger='current', level=logging.WARNING)

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Keep the predictions of a batch as arrays.

        Args:
            data_batch: not used.
            data_samples: with ``img_id`` and ``pred_instances``: ``bboxes`` (n, 4) as (x1, y1, x2,
                y2) in pixels of the original image, ``scores`` (n,), ``labels`` (n,) and, for
                'segm', ``masks``, (n, h, w) bool or a list of compressed run-length encodings, and
                maybe ``mask_scores`` (n,), which then rank the masks.

        Raises:
            ValueError: if an id is no whole number, a label has no category in the annotations, a
                box is not four finite numbers, a score is not finite, a mask is none, or there is
                not one of each for every object.
        """
        self.results.append(self._predictions(data_samples))

    def detections(self, data_samples: Sequence[dict], iou_type: str = 'bbox') -> Detections:
        """Convert the predictions of images without evaluating them.

        Args:
            data_samples: as of :meth:`process`, each of another image.
            iou_type: 'bbox', or 'segm' if that is evaluated.

        Raises:
            ValueError: as :meth:`process`, or if an image is not in the annotations.
        """
        predictions = self._predictions(data_samples)
        self._check_images(predictions.image_id)
        return self._detections(predictions, iou_type)

    def _predictions(self, data_samples: Sequence[dict]) -> Predictions:
        return Predictions.concatenate(
            [self._prediction(sample['img_id'], sample['pred_instances'])
             for sample in data_samples], type(self).__name__)

    def _prediction(self, image_id: int, instances: dict) -> Predictions:
        if not is_integer(image_id):
            raise ValueError(f'{type(self).__name__} expects an img_id that is a whole number, got '
                             f'{image_id!r}.')
        arrays = {key: instances[key].detach().cpu().numpy()
                  for key in ('bboxes', 'scores', 'labels', 'mask_scores') if key in instances}
        self._check_prediction(image_id, arrays)
        num_categories = len(self.category_ids)
        unknown = arrays['labels'][(arrays['labels'] < 0) | (arrays['labels'] >= num_categories)]
        if len(unknown):
            raise ValueError(
                f'{type(self).__name__}(ann_file=) expects labels from 0 to below '
                f'{num_categories}, its number of categories, got {unknown[0]} in image '
                f'{image_id}. Set num_classes of the head to that number.')
        arrays['labels'] = arrays['labels'].astype(np.int32)
        if 'segm' in self.metrics:
            if 'masks' not in instances:
                raise ValueError(
                    f'{type(self).__name__}(metric=) expects predictions with masks for '
                    f"'segm', got {sorted(instances)}. Set metric='bbox' for a detector "
                    'without masks.')
            arrays['masks'] = self._masks(image_id, instances['masks'], len(arrays['labels']))
        return Predictions(np.array([image_id]), np.array([len(arrays['labels'])]), **arrays)

    def _masks(self, image_id: int, masks: torch.Tensor | Sequence[dict],
               num_objects: int) -> EncodedMasks:
        if len(masks) != num_objects:
            raise ValueError(f'{type(self).__name__} got masks of image {image_id} that are '
                             f'{len(masks)}, {num_objects} are expected.')
        if isinstance(masks, torch.Tensor):
            return EncodedMasks.from_rles(encode_mask_results(masks.detach().cpu().numpy()))
        return encoded_masks(Records(f'{type(self).__name__} got masks of image {image_id}',
                                     'masks', [{'segmentation': mask} for mask in masks]))

    def _check_prediction(self, image_id: int, arrays: dict[str, np.ndarray]) -> None:
        for key in ('bboxes', 'scores', 'labels'):
            if key not in arrays:
                raise ValueError(f'{type(self).__name__} expects {key} of image {image_id}, got '
                                 f'only {sorted(arrays)}.')
        num_objects = len(arrays['labels'])
        expected = {'bboxes': (num_objects, 4), 'labels': (num_objects,),
                    'scores': (num_objects,), 'mask_scores': (num_objects,)}
        for key, array in arrays.items():
            fault = None
            if array.shape != expected[key]:
                fault = f'of shape {array.shape}, {expected[key]} is expected'
            elif key == 'labels' and array.dtype.kind not in 'iu':
                fault = f'of type {array.dtype}, whole numbers are expected'
            elif key != 'labels' and not np.isfinite(array).all():
                is_bad = ~np.isfinite(array.reshape(num_objects, -1)).all(1)
                fault = f'not finite: {array[is_bad][0].tolist()}'
            if fault:
                raise ValueError(f'{type(self).__name__} got {key} of image {image_id} that are '
                                 f'{fault}.')

    def evaluate(self, size: int) -> dict[str, float]:
        """Evaluate the predictions of all ranks, in the main process.

        As in :class:`mmengine.evaluator.BaseMetric`, except that results go from rank to rank as
        array files, not as pickled objects.

        Args:
            size: number of images in the data set.

        Returns:
            The metrics, with their prefix, on every rank.

        Raises:
            RuntimeError: if a rank cannot write its files, or the main process fails; that one
                raises its own error.
        """
        name = type(self).__name__
        if not self.results:
            print_log(f'{name} got no predictions to evaluate on this rank.',
                      logger='current', level=logging.WARNING)
        metrics, error = None, None
        try:
            predictions = collect_predictions(self.results, size, self.collect_dir, name)
            self.results.clear()
            if is_main_process():
                metrics = {f'{self.prefix}/{key}': value
                           for key, value in self.compute_metrics(predictions).items()}
        except Exception as caught:  # the other ranks would wait for the metrics
            error = caught
        outcome = [metrics, None if error is None else f'{type(error).__name__}: {error}']
        broadcast_object_list(outcome)
        if error is not None:
            raise error
        if outcome[1] is not None:
            raise RuntimeError(f'{name} failed on the main process: {outcome[1]}')
        return outcome[0]

    def compute_metrics(self, results: Predictions) -> dict[str, float]:
        """Evaluate the predictions of all images.

        Args:
            results: what :meth:`process` kept, of all ranks.

        Returns:
            ``bbox_AP`` and so on.

        Raises:
            ValueError: if an image is not in the annotations.
        """
        predictions = self._one_per_image(results)
        metrics = {}
        for iou_type in self.metrics:
            detections = self._detections(predictions, iou_type)
            if self.outfile_prefix is not None:
                self._dump(predictions, detections, iou_type)
            results = self.evaluate_detections(detections, iou_type)
            summaries = {prefix: result.summary() for prefix, result in results.items()}
            print_log(self._report(iou_type, results[''], summaries), logger='current')
            metrics.update({f'{iou_type}_{prefix}{name}': value
                            for prefix, summary in summaries.items()
                            for name, value in summary.items()})
        return metrics

    def _one_per_image(self, predictions: Predictions) -> Predictions:
        """The first prediction of each image.

        What MMEngine's sampler padded has been cut off, so repeated images mean another sampler or
        data set; counting them twice would make false positives of right detections.
        """
        image_ids, first = np.unique(predictions.image_id, return_index=True)
        self._check_images(image_ids)
        num_repeated = len(predictions.image_id) - len(first)
        num_missed = len(self.annotations['images']) - len(first)
        if num_repeated > 0 or num_missed > 0:
            print_log(
                f'{type(self).__name__} got predictions for {len(first)} of '
                f'{len(self.annotations["images"])} images: the others count as missed. '
                f'{num_repeated} repeated predictions are left out.',
                logger='current', level=logging.WARNING)
        return predictions[np.sort(first)] if num_repeated > 0 else predictions

    def _check_images(self, image_ids: np.ndarray) -> None:
        # Also images without detections, whose AP would be 0 without a word.
        known = [image['id'] for image in self.annotations['images']]
        unknown = np.setdiff1d(image_ids, known).tolist()
        if unknown:
            shown = ', '.join(map(str, unknown[:10])) + (', ...' if len(unknown) > 10 else '')
            raise ValueError(
                f'{type(self).__name__}(ann_file=) expects every image_id of the predictions to '
                f'be in its annotations, got {len(unknown)} unknown: {shown}. Give metric and '
                'dataset the same annotation file.')

    def _detections(self, predictions: Predictions, iou_type: str) -> Detections:
        scores = predictions.scores
        if iou_type == 'segm' and predictions.mask_scores is not None:
            scores = predictions.mask_scores
        region = boxes = predictions.boxes_xywh()
        area = boxes[:, 2] * boxes[:, 3]
        if iou_type == 'segm':
            region = predictions.masks
            if self.drop_box_for_segm:
                area = region.areas()
        return Detections(
            image_id=np.repeat(predictions.image_id, predictions.num_objects),
            category_id=self.category_ids[predictions.labels],
            score=scores.astype(np.float64),
            area=area,
            region=region)

    def _dump(self, predictions: Predictions, detections: Detections, iou_type: str) -> None:
        # A box beside a mask means that the box decides the size.
        with_box = iou_type == 'bbox' or not self.drop_box_for_segm
        boxes = predictions.boxes_xywh() if with_box else None
        write_records(f'{self.outfile_prefix}.{iou_type}.json', detections.records(boxes))

    def _report(self, iou_type: str, result: GroupedResult,
                summaries: dict[str, dict[str, float]]) -> str:
        known, summary = ~np.isnan(result.class_ap()), summaries['']
        groups = np.array(result.groups)
        counts = [int((known & (groups == group)).sum()) for group in result.group_names]
        weighted = sum(count * summary[f'AP{group}']
                       for group, count in zip(result.group_names, counts, strict=True) if count)
        group_aps = ', '.join(f'AP{group}' for group in result.group_names)
        lines = [
            f'{self.benchmark} {iou_type} AP, at most {self.max_dets} detections {self.cap_scope}, '
            f'{sum(counts)} of {len(groups)} categories with ground truth',
            ''.join(f'{name:>8}' for name in summary),
            *(''.join(f'{value:8.4f}' for value in values.values())
              + f'  {prefix.rstrip("_")}'.rstrip() for prefix, values in summaries.items()),
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
