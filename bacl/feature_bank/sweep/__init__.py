"""Many stages 2 over one bank: each trained and tested in one process, finished ones reused."""
from .command_line import add_arguments, run_rows
from .rows import Row, describe, make_rows
from .run import detections_file
from .sweep import Sweep

__all__ = ['Row', 'Sweep', 'add_arguments', 'describe', 'detections_file', 'make_rows', 'run_rows']
