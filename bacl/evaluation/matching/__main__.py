"""A worker process: ``python -m matching FOLDER``, started by :mod:`.worker_processes`."""
import sys
from pathlib import Path

from .worker_processes import work

if __name__ == '__main__':
    work(Path(sys.argv[1]))
