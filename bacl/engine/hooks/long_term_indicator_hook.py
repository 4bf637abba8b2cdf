"""The method hook of trainings that rely on a long-term indicator."""
from mmdet.registry import HOOKS
from mmengine.runner import Runner

from .method_hook import MethodHook, modules_with


@HOOKS.register_module()
class LongTermIndicatorHook(MethodHook):
    """A :class:`.method_hook.MethodHook` that refuses a model without a long-term indicator.

    Indicators get class counts, if they are static, and log their mean strength over each group of
    classes as ``indicator/strength_<group>``; see :class:`~bacl.models.indicators.ClassFrequency`
    and :meth:`~bacl.models.indicators.LongTermIndicator.scalars`.

    Args:
        interval: iterations between two log entries, > 0.

    Raises:
        ValueError: as the method hook.
        RuntimeError: before training, if no module of the model has a method ``strength``, which
            makes an indicator; and as the method hook.
    """

    def before_train(self, runner: Runner) -> None:
        """Find an indicator, then as the method hook."""
        super().before_train(runner)
        if not modules_with(self.model, 'strength'):
            raise RuntimeError('LongTermIndicatorHook needs a long-term indicator in the model. '
                               "Set loss_cls=dict(type='FCBL', ...) in the bbox_head, or put a "
                               'MethodHook in its place.')
