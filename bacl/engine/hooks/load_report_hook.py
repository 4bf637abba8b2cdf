"""Says what a checkpoint gives to the model, and refuses one that does not fit."""
import logging

from mmdet.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner

from ..checking.load_report import (
    compare_weights,
    faults_of_predictions,
    leave_out_fresh_layers,
    refuse_faults,
)
from ..running.official_checkpoint import refuse_official_checkpoint
from ..running.runner_state import is_training, unwrapped_model


@HOOKS.register_module()
class LoadReportHook(Hook):
    """Reports on every checkpoint that is loaded, before its weights enter the model.

    mmengine loads what fits and goes on. Here a checkpoint is refused if a weight is missing or of
    another shape (such as a classifier of another number of classes) and the model is tested,
    resumed or trained with a frozen extractor. State that training collects, as indicators do,
    may be missing, as its modules say by ``starts_empty``
    (:func:`~bacl.engine.checking.load_report.names_that_start_empty`), unless a run is resumed. In
    a test, only buffers in losses and augmenters and layers that only training runs may be missing,
    as their modules say by ``training_layers``: all else, such as what a predictor or a calibrator
    knows, decides about predictions.
    Otherwise, as when a detector is fine-tuned on other classes, tensors of another shape are a
    warning; but some have to fit. A model with a frozen extractor is also not trained without a
    checkpoint. Where everything has to fit, checkpoints of MMDetection 2.x are pointed to the
    converter.

    Layers that the model starts anew by ``fresh``
    (:class:`~bacl.models.detectors.DecoupledTwoStageDetector`) are left out of the checkpoint of a
    training that is not resumed.

    Raises:
        ValueError: if the checkpoint does not fit; names the tensors.
        RuntimeError: if a model with a frozen extractor starts without weights.
    """

    def __init__(self) -> None:
        self.has_loaded = False

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Compare, report, refuse."""
        model = unwrapped_model(runner)
        weights = checkpoint.get('state_dict', checkpoint)
        is_resumed = is_training(runner) and runner._resume
        fresh = leave_out_fresh_layers(model, weights) \
            if is_training(runner) and not is_resumed else []
        report = compare_weights(model, weights, fresh)
        # Unknown if the runner was told to load a file after it was built.
        name = f'Checkpoint {runner._load_from}' if runner._load_from else 'The checkpoint'
        print_log(f'{name}: {report}.', logger='current',
                  level=logging.WARNING if report.misfit else logging.INFO)
        is_fine_tuned = is_training(runner) and not is_resumed and not getattr(
            model, 'needs_pretrained_extractor', False)
        if not is_fine_tuned:
            refuse_official_checkpoint(checkpoint, name)
        problems = [] if is_fine_tuned else report.misfit + report.missing
        if is_resumed:
            problems += report.new
        elif not is_training(runner):
            problems = faults_of_predictions(model, report)
        refuse_faults(problems, report, name)
        self.has_loaded = True

    def before_train(self, runner: Runner) -> None:
        """A frozen extractor with random weights would train a classifier on noise."""
        model = unwrapped_model(runner)
        if getattr(model, 'needs_pretrained_extractor', False) and not self.has_loaded:
            raise RuntimeError(
                f'{type(model).__name__} freezes its feature extractor and needs the weights of '
                'stage 1. Pass --stage1-checkpoint PATH to tools/train.py or set '
                'load_from in the config.')
