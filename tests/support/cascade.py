"""A small cascade."""
from copy import deepcopy

from mmengine.config import ConfigDict


def as_cascade(model: ConfigDict) -> ConfigDict:
    """Return the config of a model, with its box head twice, as two stages; changed in place."""
    head = model.roi_head
    head.type = head.type.replace('RoIHead', 'CascadeRoIHead')
    head.update(num_stages=2, stage_loss_weights=[1, 0.5],
                bbox_head=[head.bbox_head, deepcopy(head.bbox_head)])
    model.train_cfg.rcnn = [model.train_cfg.rcnn, deepcopy(model.train_cfg.rcnn)]
    return model
