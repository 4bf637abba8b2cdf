"""Python's search for reference cycles, which slows down the making of many objects."""
import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_cycle_collection() -> Iterator[None]:
    """Make many objects that form no cycles, without a search among all others every now and then.

    With torch and mmdet imported, the search takes two thirds of the time of reading JSON.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
