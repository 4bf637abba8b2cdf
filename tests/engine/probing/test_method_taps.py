import bacl  # noqa: F401
import pytest
from bacl.engine.probing.method_taps import observed_method
from torch import nn


class Adder(nn.Module):

    def add(self, first, second=2):
        if second is None:
            raise TypeError('no number')
        return first + second


def test_calls_are_seen_with_arguments_by_name_and_the_result():
    adder, seen = Adder(), []
    with observed_method(adder, 'add', lambda *call: seen.append(call)):
        assert adder.add(1) == 3 and adder.add(1, second=4) == 5
        with pytest.raises(TypeError):
            adder.add(1, None)
    assert seen == [(dict(first=1), 3), (dict(first=1, second=4), 5)]


def test_nothing_is_left_behind_also_after_an_error_and_of_two_observers():
    adder, seen = Adder(), []
    with pytest.raises(RuntimeError), observed_method(adder, 'add', lambda *call: None):
        raise RuntimeError
    assert 'add' not in vars(adder)
    own = vars(adder)['add'] = lambda first: -first
    with observed_method(adder, 'add', lambda *call: seen.append('outer')), \
            observed_method(adder, 'add', lambda *call: seen.append('inner')):
        assert adder.add(5) == -5
    assert vars(adder)['add'] is own and seen == ['outer', 'inner']


def test_other_objects_of_the_class_are_not_observed():
    adder, other, seen = Adder(), Adder(), []
    with observed_method(adder, 'add', lambda *call: seen.append(call)):
        other.add(1)
    assert not seen
