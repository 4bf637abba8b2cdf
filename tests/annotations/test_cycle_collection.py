import gc

import bacl  # noqa: F401
import pytest
from bacl.annotations.cycle_collection import no_cycle_collection


@pytest.fixture(autouse=True)
def collecting():
    """Collection is on after every test."""
    gc.enable()
    yield
    gc.enable()


def test_collection_goes_on_afterwards_also_after_an_error():
    with pytest.raises(KeyError), no_cycle_collection():
        assert not gc.isenabled()
        raise KeyError
    assert gc.isenabled()


def test_nested_pauses_end_with_the_outer_one():
    with no_cycle_collection():
        with no_cycle_collection():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()


def test_collection_that_was_off_stays_off():
    gc.disable()
    with no_cycle_collection():
        pass
    assert not gc.isenabled()
