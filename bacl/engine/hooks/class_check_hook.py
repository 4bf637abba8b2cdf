"""Checks the classes before anything is trained or evaluated."""
from typing import Any

from mmdet.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.runner import Runner

from ..checking.class_checks import (
    check_class_counts,
    check_class_order,
    class_names,
    class_source,
    innermost_dataset,
)
from ..running.runner_state import is_training, unwrapped_model


@HOOKS.register_module()
class ClassCheckHook(Hook):
    """Refuses data whose classes are not the model's, in number or order.

    mmdet's ``NumClassCheckHook`` looks at training and validation only, and at numbers only; a
    wrong test set would be evaluated into plausible numbers. Numbers are compared with the model.
    The order is compared with the training dataset while training, else with the classes that the
    loaded checkpoint was trained on, if it says so. A dataset that does not name its classes
    passes. See :mod:`bacl.engine.checking.class_checks`.

    Raises:
        ValueError: if numbers or names differ.
    """

    def __init__(self) -> None:
        self.checkpoint_classes: tuple[str, ...] | None = None
        self.checkpoint_name = 'the loaded checkpoint'

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Remember the classes that the checkpoint was trained on."""
        meta = checkpoint.get('meta') or {}  # a bare state dict has none
        dataset_meta = meta.get('dataset_meta') or {}
        self.checkpoint_classes = dataset_meta.get('classes')
        if runner._load_from:
            self.checkpoint_name = f'the checkpoint {runner._load_from}'

    def before_train(self, runner: Runner) -> None:
        """Compare the model with the training dataset."""
        check_class_counts(unwrapped_model(runner), runner.train_dataloader.dataset)

    def before_val(self, runner: Runner) -> None:
        """Compare the validation dataset with the model and with what it learns."""
        self._check_evaluation(runner, runner.val_dataloader.dataset)

    def before_test(self, runner: Runner) -> None:
        """Compare the test dataset with the model and with what it has learned."""
        self._check_evaluation(runner, runner.test_dataloader.dataset)

    def _check_evaluation(self, runner: Runner, dataset: Any) -> None:
        check_class_counts(unwrapped_model(runner), dataset)
        learned, source = self.checkpoint_classes, self.checkpoint_name
        if is_training(runner):
            training_dataset = innermost_dataset(runner.train_dataloader.dataset)
            learned = class_names(training_dataset)
            source = class_source(training_dataset)
        check_class_order(dataset, learned, source)
