"""Indicators, losses, predictors, augmenters, calibrators, heads and detectors."""
from mmdet.registry import MODELS

from .augmenters import *  # noqa: F401,F403
from .backbones import *  # noqa: F401,F403
from .calibrators import *  # noqa: F401,F403
from .dense_heads import *  # noqa: F401,F403
from .detectors import *  # noqa: F401,F403
from .indicators import *  # noqa: F401,F403
from .losses import *  # noqa: F401,F403
from .losses import head_contract
from .predictors import *  # noqa: F401,F403
from .renamed import *  # noqa: F401,F403
from .roi_heads import *  # noqa: F401,F403
from .semantics import *  # noqa: F401,F403

# Here, once: a head that does not ask the losses of this package is refused where it is built.
head_contract.check_when_built(MODELS)
