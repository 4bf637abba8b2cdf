"""BACL: balanced classification for long-tailed object detection on MMDetection.

``import bacl`` checks the installed versions, makes mmcv, mmengine and torch work together, and
registers every component of the package in MMDetection's registries.
"""

import sys

from bacl.version import __version__


def register_components() -> None:
    """Prepare the environment and import every sub-package, which registers its components.

    ``import bacl`` has done so already, except in the environment report.

    Raises:
        ImportError: if a package is missing or outside its version window.
    """
    from bacl.compat import prepare

    prepare()

    # After prepare(), because they import mmcv.ops.
    from bacl import datasets, engine, evaluation, models  # noqa: F401


# `python -m bacl.check` imports this file first, and must run where the rest cannot be imported.
if not (sys.argv[:1] == ['-m'] and 'bacl.check' in sys.orig_argv):
    register_components()

__all__ = ['__version__', 'register_components']
