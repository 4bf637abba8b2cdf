"""Assignments of stored proposals to ground truth: of a view they are the same in each epoch."""
from mmdet.models.task_modules.assigners import AssignResult, MaxIoUAssigner
from mmengine.structures import InstanceData
from torch import nn

MEMORY_LIMIT = 2**29  # bytes that are remembered at most
_OVERHEAD = 1500  # bytes of a remembered result besides its numbers, about


class AssignmentMemory:
    """Asks an assigner once for each view of an image, and then gives its result again.

    A view is known by ``view`` of its proposals (:class:`.LoadFeatureBankSample`); proposals
    without it are assigned anew. When a setting of the assigner changes, as Dynamic R-CNN changes
    its thresholds, all is forgotten. Beyond :data:`MEMORY_LIMIT` nothing more is remembered: that
    is 105,000 views of 300 proposals.

    Args:
        assigner: whose result depends on its settings and on the boxes alone.
    """

    def __init__(self, assigner: MaxIoUAssigner) -> None:
        self.assigner = assigner
        self._ask = assigner.assign
        self._settings: dict | None = None
        self._known: dict[int, tuple] = {}
        self._num_bytes = 0

    def assign(self, pred_instances: InstanceData, gt_instances: InstanceData,
               gt_instances_ignore: InstanceData | None = None, **kwargs) -> AssignResult:
        """See mmdet's ``MaxIoUAssigner.assign``."""
        if vars(self.assigner) != self._settings:
            self._settings, self._known, self._num_bytes = dict(vars(self.assigner)), {}, 0
        # Without proposals there are no rows of its own that a view could be known by.
        view = pred_instances.get('view') if len(pred_instances) else None
        if view in self._known:
            num_gts, gt_inds, max_overlaps, labels = self._known[view]
            return AssignResult(num_gts, gt_inds.long(), max_overlaps.clone(), labels.long())
        result = self._ask(pred_instances, gt_instances, gt_instances_ignore, **kwargs)
        if view is not None and self._num_bytes < MEMORY_LIMIT:
            self._known[view] = (result.num_gts, result.gt_inds.int(), result.max_overlaps.clone(),
                                 result.labels.int())
            self._num_bytes += 12 * len(result.gt_inds) + _OVERHEAD
        return result


def remember_assignments(roi_head: nn.Module) -> None:
    """Let the assigner of a RoI head remember, if it is one whose result is known to stay.

    That is mmdet's ``MaxIoUAssigner``, unless it moves repeated ground truth at random. Any other
    is asked in each step.
    """
    assigner = roi_head.bbox_assigner
    if type(assigner) is MaxIoUAssigner and assigner.perm_repeat_gt_cfg is None:
        assigner.assign = AssignmentMemory(assigner).assign
