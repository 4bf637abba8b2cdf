"""Records what a training shows of its imbalances."""
import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bacl.compat.atomic_files import write_atomically
from bacl.models.augmenters import ExtraSamples
from bacl.models.detectors.taught import is_coarse
from mmdet.registry import HOOKS
from mmengine.dist import all_gather_object, is_main_process
from mmengine.logging import print_log
from mmengine.runner import Runner
from torch import Tensor, nn

from ..checking.class_checks import check_class_counts
from ..probing.loss_terms import gradient_norms, loss_terms
from ..probing.method_taps import observed_method
from ..probing.roi_statistics import NUM_IOU_BINS, RegressionInputs, RoIStatistics
from ..probing.training_record import TrainingRecord, merge_ranks
from ..running.runner_state import unwrapped_model
from .method_hook import training_class_table
from .scalar_log_hook import ScalarLogHook

RECORD_NAME = 'imbalance.npz'
PER_IMAGE_AND_BATCH = ('positives_per_image', 'negatives_per_image', 'classes_per_batch')


@HOOKS.register_module()
class ImbalanceHook(ScalarLogHook):
    """Measures a training of a two-stage detector: RoIs, IoUs, levels, losses, gradients.

    In no config; switched on by ``--cfg-options default_hooks.imbalance.type=ImbalanceHook``. It
    looks at the box heads of the RoI head and at the losses, during an iteration only, draws no
    random numbers and changes no gradient: weights are bit by bit those of a training without it.

    Every sampled RoI of every iteration is counted, on its device, those of batches of image-level
    data alone excepted. Gradients of each loss term are taken at the last iteration of a window
    only, as they cost a backward pass: of the feature maps, which RPN and RoI heads share, through
    these heads only; or, if the features have no gradient because the extractor is frozen, of the
    parameters that learn.

    At the end of each epoch the main rank writes ``imbalance.npz`` into the work_dir, summed over
    the ranks; :class:`~bacl.engine.probing.training_record.TrainingRecord` reads it and says
    what is in it. A resumed run goes on with the record of the epochs before.

    Logged every ``interval`` iterations, of this rank, as ``imbalance/<name>``, in a cascade
    ``imbalance/s<stage>.<name>``: ``positives_per_image``, ``negatives_per_image`` and
    ``classes_per_batch`` (means over the window), and for each term ``value_share_<term>`` (of the
    mean) and ``gradient_share_<term>``, in [0, 1].

    Args:
        interval: iterations of an epoch in a window, > 0; the last one of an epoch may be shorter.

    Raises:
        RuntimeError: before training, if the model has no RoI head with box heads like mmdet's
            ``BBoxHead``.
        ValueError: before training, if dataset and model differ in their number of classes, or if
            the record of a resumed run cannot be read.
    """

    def before_train(self, runner: Runner) -> None:
        """Find the box heads and the classes; take up the record of a resumed run."""
        model, dataset = unwrapped_model(runner), runner.train_dataloader.dataset
        check_class_counts(model, dataset)
        self.heads, self.extractors, self.augmenters = box_heads(model)
        table = training_class_table(dataset)
        strides = getattr(self.extractors[0], 'featmap_strides', []) \
            if hasattr(self.extractors[0], 'map_roi_levels') else []
        self.fixed = dict(
            class_names=np.array(table.names, dtype=str), instance_count=table.instance_count,
            stages=np.array([f's{stage}' for stage in range(len(self.heads))]
                            if len(self.heads) > 1 else ['']),
            level_strides=np.array(strides, dtype=np.int64),
            iou_edges=np.linspace(0, 1, NUM_IOU_BINS + 1))
        device = next(model.parameters()).device
        self.statistics = [RoIStatistics(head.num_classes, len(strides), device)
                           for head in self.heads]
        self.gradient_of = 'nothing'
        self._features: list[Tensor] = []
        self._taps = ExitStack()
        self._start_period(runner)
        self.record = self._record_to_continue(runner)

    def _record_to_continue(self, runner: Runner) -> TrainingRecord | None:
        path = Path(runner.work_dir, RECORD_NAME)
        if not (is_main_process() and runner.iter and path.exists()):
            return None
        record = TrainingRecord.load(path).up_to(runner.iter)
        if record.describes_same(self._period(runner.iter, {})):
            return record
        print_log(f'{path} is of other classes or another model: ImbalanceHook starts it anew.',
                  logger='current', level=logging.WARNING)
        return None

    def _start_period(self, runner: Runner) -> None:
        self.first_iteration = runner.iter + 1
        self.num_batches = self.num_images = 0
        self.points: list[dict[str, Any]] = []
        for statistics in self.statistics:
            statistics.reset()
        self._start_window()

    def _start_window(self) -> None:
        self.window_batches = self.window_images = self.window_steps = 0
        self.loss_sums: dict[str, Tensor] = {}
        self.norms: dict[str, Tensor] = {}

    def before_train_epoch(self, runner: Runner) -> None:
        """Start to count."""
        self._start_period(runner)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch=None) -> None:
        """Look at the model, for this iteration."""
        self._taps.close()  # of an iteration that did not end
        self._ends_window = self.every_n_inner_iters(batch_idx, self.interval) \
            or self.end_of_epoch(runner.train_dataloader, batch_idx)
        self._regression: dict[int, RegressionInputs] = {}
        # Where no image has boxes of objects, a detector computes losses of RoIs for nothing.
        samples = data_batch['data_samples'] if isinstance(data_batch, dict) else []
        has_objects = not samples or not all(map(is_coarse, samples))
        for stage, head in enumerate(self.heads if has_objects else []):
            self._taps.enter_context(observed_method(
                head, 'loss_and_target', partial(self._count_rois, stage)))
            if isinstance(getattr(head, 'loss_bbox', None), nn.Module):
                hook = head.loss_bbox.register_forward_hook(partial(self._keep_regression, stage))
                self._taps.callback(hook.remove)
        for stage, augmenter in enumerate(self.augmenters):
            self._taps.enter_context(observed_method(
                augmenter, 'forward', partial(self._count_extra, stage)))
        if self._ends_window:
            model = unwrapped_model(runner)
            scaler = getattr(runner.optim_wrapper, 'loss_scaler', None)
            self._taps.enter_context(observed_method(model, 'extract_feat', self._keep_features))
            self._taps.enter_context(observed_method(
                model, 'parse_losses', partial(self._measure_gradients, model, scaler)))

    def _keep_regression(self, stage: int, module: nn.Module, args: tuple, output: Any) -> None:
        # Whatever calls it with other arguments than BBoxHead is not understood, hence not counted.
        if len(args) == 3:
            self._regression[stage] = RegressionInputs(*(tensor.detach() for tensor in args))

    def _count_rois(self, stage: int, arguments: dict[str, Any], result: Any) -> None:
        samples = arguments['sampling_results']
        self.statistics[stage].add(samples, self.extractors[stage],
                                   getattr(self.heads[stage], 'loss_bbox', None),
                                   self._regression.pop(stage, None))
        if stage == 0:
            self.num_batches += 1
            self.num_images += len(samples)
            self.window_batches += 1
            self.window_images += len(samples)

    def _count_extra(self, stage: int, arguments: dict[str, Any],
                     result: ExtraSamples) -> None:
        self.statistics[stage].add_hallucinated(result.labels)

    def _keep_features(self, arguments: dict[str, Any], result: Any) -> None:
        self._features = [feature for feature in result if feature.requires_grad]

    def _measure_gradients(self, model: nn.Module, scaler: Any, arguments: dict[str, Any],
                           result: tuple[Tensor, dict[str, Tensor]]) -> None:
        inputs, self._features = self._features, []
        self.gradient_of = 'features' if inputs else 'parameters'
        inputs = inputs or [p for p in model.parameters() if p.requires_grad]
        terms = loss_terms(result[1])
        norms = gradient_norms(list(terms.values()), inputs, scaler.get_scale() if scaler else 1.0)
        self.norms = dict(zip(terms, norms, strict=True))

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch=None,
                         outputs: dict[str, Tensor] | None = None) -> None:
        """Look away; add up the losses; log at the interval."""
        self._taps.close()
        terms = loss_terms(outputs or {})  # none of a batch that FiniteLossHook has left out
        self.window_steps += bool(terms)
        for name, value in terms.items():
            self.loss_sums[name] = self.loss_sums.get(name, 0) + value.detach().double()
        if self._ends_window:
            self._end_window(runner)
        super().after_train_iter(runner, batch_idx, data_batch, outputs)

    def _end_window(self, runner: Runner) -> None:
        """Read the sums of the window, in one transfer, into a point."""
        windows = torch.stack([statistics.take_window() for statistics in self.statistics])
        losses, norms = list(self.loss_sums.values()), list(self.norms.values())
        values = torch.cat([windows.flatten(), *(torch.stack(part).double().flatten()
                                                 for part in (losses, norms) if part)]).cpu()
        windows, losses, norms = values.split([windows.numel(), len(losses), len(norms)])
        # Without a batch (no head was asked) the means are 0 / 0, NaN.
        per_image, per_batch = (windows.reshape(-1, 3) / torch.tensor(float(count))
                                for count in (self.window_images, self.window_batches))
        self.points.append(dict(
            iteration=runner.iter + 1, positives_per_image=per_image[:, 0].tolist(),
            negatives_per_image=per_image[:, 1].tolist(),
            classes_per_batch=per_batch[:, 2].tolist(),
            loss=dict(zip(self.loss_sums, (losses / self.window_steps).tolist(), strict=True)),
            gradient_norm=dict(zip(self.norms, norms.tolist(), strict=True))))
        self._start_window()

    def scalars(self) -> Iterator[tuple[str, float]]:
        """Names and values of the current log entries."""
        point = self.points[-1]
        for name in PER_IMAGE_AND_BATCH:
            for stage, value in zip(self.fixed['stages'], point[name], strict=True):
                yield f'imbalance/{stage}{"." if stage else ""}{name}', value
        for name, values in (('value_share', point['loss']),
                             ('gradient_share', point['gradient_norm'])):
            total = sum(values.values())
            for term, value in values.items():
                # Not 'loss_...', of which mmengine would log the mean of many windows.
                share = value / total if total else float('nan')
                yield f'imbalance/{name}_{term.replace("loss_", "")}', share

    def after_train_epoch(self, runner: Runner) -> None:
        """Add up what the ranks have counted, and write it.

        Raises:
            RuntimeError: if no box head was trained, as with a RoI head that has its own way.
        """
        sums = {}
        taken = [statistics.take() for statistics in self.statistics]
        for name in taken[0]:
            sums[name] = np.stack([stage[name].numpy() for stage in taken])[None]
        periods = all_gather_object(self._period(runner.iter, sums))
        if not is_main_process():
            return
        period = merge_ranks(periods)
        if not period.num_batches.sum():
            raise RuntimeError(
                'ImbalanceHook saw no RoIs: this RoI head does not call loss_and_target() of its '
                'box heads, as mmdet\'s StandardRoIHead and CascadeRoIHead do. Remove the hook.')
        self.record = period if self.record is None else self.record.followed_by(period)
        write_atomically(Path(runner.work_dir, RECORD_NAME), self.record.to_bytes())

    def _period(self, last_iteration: int, sums: dict[str, np.ndarray]) -> TrainingRecord:
        """Record of this rank: of a period with sums (1, S, ...), or of none without them."""
        num_periods, num_stages = (1 if sums else 0), len(self.heads)
        sizes = self.statistics[0].sizes
        empty = {name: np.zeros((0, num_stages, size), dtype=np.int64)
                 for name, size in sizes.items()}
        sums = {**empty, 'regression_loss': np.zeros((0, num_stages, NUM_IOU_BINS + 1)), **sums}
        iou_count, regression_loss = sums.pop('iou_count'), sums.pop('regression_loss')
        per_period = dict(first_iteration=self.first_iteration, last_iteration=last_iteration,
                          num_batches=self.num_batches, num_images=self.num_images)
        return TrainingRecord(
            **self.fixed, gradient_of=np.array(self.gradient_of),
            **stack_points(self.points if num_periods else [], num_stages),
            **{name: np.full(num_periods, number) for name, number in per_period.items()},
            **{**sums, 'negatives': sums['negatives'][..., 0]},
            iou_count=iou_count[..., :-1], added_count=iou_count[..., -1],
            regression_loss=regression_loss[..., :-1],
            added_regression_loss=regression_loss[..., -1])


def stack_points(points: Sequence[dict[str, Any]], num_stages: int) -> dict[str, np.ndarray]:
    """The attributes of a :class:`TrainingRecord` that are measured at points in time."""
    terms = list(dict.fromkeys(term for point in points for term in point['loss']))
    per_stage, per_term = (len(points), num_stages), (len(points), len(terms))
    return dict(
        iteration=np.array([point['iteration'] for point in points], dtype=np.int64),
        terms=np.array(terms, dtype=str),
        **{name: np.array([point[name] for point in points], dtype=float).reshape(per_stage)
           for name in PER_IMAGE_AND_BATCH},
        **{name: np.array([[point[name].get(term, np.nan) for term in terms] for point in points],
                          dtype=float).reshape(per_term) for name in ('loss', 'gradient_norm')})


def box_heads(model: nn.Module) -> tuple[list[nn.Module], list[nn.Module], list[nn.Module]]:
    """Box heads of a detector with their RoI extractors, one each or those of a cascade.

    Returns:
        Heads, extractors, and, if there are any, augmenters.

    Raises:
        RuntimeError: if it has none that follow mmdet's ``BBoxHead``.
    """
    roi_head = getattr(model, 'roi_head', None)
    heads, extractors = (
        list(part) if isinstance(part, nn.ModuleList) else [part]
        for part in (getattr(roi_head, name, None) for name in ('bbox_head', 'bbox_roi_extractor')))
    if not all(hasattr(head, 'loss_and_target') for head in heads):
        raise RuntimeError('ImbalanceHook needs a detector whose roi_head has box heads like '
                           f'mmdet\'s BBoxHead, got {type(model).__name__}. Remove the hook.')
    return heads, extractors, list(getattr(roi_head, 'augmenters', []))
