"""What touches the runner: hooks, launching, finding the weights of the stage before."""
from .amp import BFloat16OptimWrapper  # noqa: F401
from .hooks import *  # noqa: F401,F403
