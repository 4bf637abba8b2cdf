"""Everything that touches a runner: hooks, checks, launching, finding the weights of stage 1."""
from .hooks import *  # noqa: F401,F403
from .running.amp import BFloat16OptimWrapper  # noqa: F401
