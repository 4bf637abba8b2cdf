"""Small detectors that are more than Faster R-CNN: a cascade, CenterNet2."""
from copy import deepcopy
from pathlib import Path

from mmengine.config import Config, ConfigDict

CENTERNET2 = (Path(__file__).parents[2]
              / 'configs/richsem/centernet2_r50_fpn_richsem-2x_lvis-v1.py')


def as_cascade(model: ConfigDict) -> ConfigDict:
    """Return the config of a model, with its box head twice, as two stages; changed in place."""
    head = model.roi_head
    head.type = head.type.replace('RoIHead', 'CascadeRoIHead')
    head.update(num_stages=2, stage_loss_weights=[1, 0.5],
                bbox_head=[head.bbox_head, deepcopy(head.bbox_head)])
    model.train_cfg.rcnn = [model.train_cfg.rcnn, deepcopy(model.train_cfg.rcnn)]
    return model


def with_centernet(model: ConfigDict) -> ConfigDict:
    """Return the config of a model, with CenterNet as its RPN; changed in place."""
    model.neck.num_outs = 5
    model.rpn_head = ConfigDict(
        Config.fromfile(CENTERNET2).model.rpn_head, in_channels=64, feat_channels=64,
        strides=[4, 8, 16, 32, 64])
    return model
