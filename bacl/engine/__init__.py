"""What touches the runner: hooks, launching, finding the weights of the stage before."""
from .hooks import *  # noqa: F401,F403
from .running.amp import BFloat16OptimWrapper  # noqa: F401
