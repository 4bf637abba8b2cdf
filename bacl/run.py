"""Run a script with what ``import bacl`` supplies: ``python -m bacl.run SCRIPT [ARGUMENTS]``.

For MMDetection's own tools, which import mmdet first: without compiled operators of mmcv they end
with "No module named 'mmcv._ext'", and they do not know the components of this package.
"""
import runpy
import sys
from pathlib import Path


def main() -> None:
    """Run the script as ``python SCRIPT`` would, after ``import bacl``."""
    if len(sys.argv) < 2:
        sys.exit('Usage: python -m bacl.run SCRIPT [ARGUMENTS]')
    del sys.argv[0]
    sys.path.insert(0, str(Path(sys.argv[0]).resolve().parent))
    runpy.run_path(sys.argv[0], run_name='__main__')


if __name__ == '__main__':
    main()
