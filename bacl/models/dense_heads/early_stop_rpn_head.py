"""A region proposal network that looks only at as many candidates as it needs."""
from mmdet.models.dense_heads import RPNHead
from mmdet.registry import MODELS
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData

# Candidates that are looked at first, per proposal.
FACTOR = 2.5


@MODELS.register_module()
class EarlyStopRPNHead(RPNHead):
    """mmdet's ``RPNHead``; its NMS takes the best candidates and, only if too few are left, all.

    A candidate can be suppressed by better ones only: if the best leave ``max_per_img`` proposals,
    these are the ones that all candidates would leave; see :func:`~bacl.ops.multiclass_nms`. They
    equal mmdet's but for overlaps within a rounding error of the threshold.
    """

    def _bbox_post_process(self, results: InstanceData, cfg: ConfigDict, *args,
                           **kwargs) -> InstanceData:
        """See the host: candidates of an image to its proposals."""
        num_best = int(FACTOR * cfg.max_per_img)
        # Another NMS, such as soft_nms, changes scores, so all candidates matter.
        if cfg.nms.get('type', 'nms') == 'nms' and 0 < num_best < len(results.scores):
            best = results.scores.argsort(descending=True, stable=True)[:num_best]
            proposals = super()._bbox_post_process(results[best], cfg, *args, **kwargs)
            if len(proposals) == cfg.max_per_img:
                return proposals
        return super()._bbox_post_process(results, cfg, *args, **kwargs)
