"""A look at what methods of one object get and return, for as long as one looks."""
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def observed_method(owner: object, name: str,
                    observe: Callable[[dict[str, Any], Any], None]) -> Iterator[None]:
    """Show every call of a method of one object to an observer; its class is left alone.

    Args:
        owner: whose method it is.
        name: of the method.
        observe: called after each call that returned, with the arguments by name and the result,
            neither of which it may change.
    """
    method, signature = getattr(owner, name), inspect.signature(getattr(owner, name))
    before = vars(owner).get(name)

    def call(*args, **kwargs):
        result = method(*args, **kwargs)
        observe(signature.bind(*args, **kwargs).arguments, result)
        return result

    setattr(owner, name, call)
    try:
        yield
    finally:
        if before is None:
            delattr(owner, name)
        else:
            setattr(owner, name, before)
