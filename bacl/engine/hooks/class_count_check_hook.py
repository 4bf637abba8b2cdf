"""Checks the number of classes before anything is trained or evaluated."""
from mmdet.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from ..class_counts import check_class_counts


def unwrapped_model(runner: Runner):
    """The model inside a DDP or similar wrapper."""
    return runner.model.module if is_model_wrapper(runner.model) else runner.model


@HOOKS.register_module()
class ClassCountCheckHook(Hook):
    """Refuses to train, validate or test a model on a dataset of another number of classes.

    mmdet's ``NumClassCheckHook`` looks at training and validation only; a wrong test set would
    be evaluated into plausible numbers. See :func:`~bacl.engine.class_counts.check_class_counts`.
    """

    def before_train(self, runner: Runner) -> None:
        """Compare with the training dataset."""
        check_class_counts(unwrapped_model(runner), runner.train_dataloader.dataset)

    def before_val(self, runner: Runner) -> None:
        """Compare with the validation dataset."""
        check_class_counts(unwrapped_model(runner), runner.val_dataloader.dataset)

    def before_test(self, runner: Runner) -> None:
        """Compare with the test dataset."""
        check_class_counts(unwrapped_model(runner), runner.test_dataloader.dataset)
