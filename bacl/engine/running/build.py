"""A model from its config file, for tools that need no runner."""
import copy
from typing import Any

from bacl.engine.running.work_dir import require_file
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from torch import nn


def build_model(config: str, cfg_options: dict[str, Any] | None = None) -> nn.Module:
    """Build the model of a config file; nothing is downloaded.

    Parameters have the values that torch gives them: neither the initialisation that the config
    describes nor its pretrained weights are applied.

    Args:
        config: path of the file.
        cfg_options: settings that override the file's, e.g. ``{'model.backbone.depth': 101}``.

    Raises:
        FileNotFoundError: if there is no such file.
    """
    require_file(config, 'config')
    cfg = Config.fromfile(config)
    cfg.merge_from_dict(copy.deepcopy(cfg_options or {}))  # merging takes `_delete_` out
    init_default_scope(cfg.get('default_scope', 'mmdet'))
    return MODELS.build(cfg.model)
