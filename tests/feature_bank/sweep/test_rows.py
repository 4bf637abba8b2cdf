import pytest
from bacl.feature_bank.sweep import make_rows


def names(configs, settings):
    return [row.name for row in make_rows(configs, settings)]


def test_rows_are_all_configs_with_all_settings():
    rows = make_rows(['a/x_b.py', 'a/x_c.py'], [{'lr': 1}, {'lr': 2}])
    assert [(row.config, row.settings) for row in rows] == [
        (config, {'lr': lr}) for config in ('a/x_b.py', 'a/x_c.py') for lr in (1, 2)]


def test_names_say_what_differs():
    assert names(['a/det_stage2-bce.py', 'b/det_stage2-bacl.py'], [{}]) == ['bce', 'bacl']
    assert names(['det_a.py', 'det_a-b.py'], [{}]) == ['a', 'a-b']
    assert names(['one_two.py'], [{}]) == ['one_two']
    assert names(['c.py'], [{'a.lr': lr, 'epochs': 5} for lr in (1, 2)]) == ['lr=1', 'lr=2']
    assert names(['c.py'], [{}, {'a.lr': 1}]) == ['c', 'lr=1']
    assert names(['x-c.py', 'x-d.py'], [{'k.a': 1}, {'k.a': None}]) == [
        'c a=1', 'c a=None', 'd a=1', 'd a=None']


def test_keys_are_as_long_as_needed():
    settings = [{'a.x.type': 1, 'b.y.type': 2, 'type': 3}, {}]
    assert names(['c.py'], settings) == ['x.type=1 y.type=2 type=3', 'c']


def test_equal_rows_are_refused():
    with pytest.raises(ValueError, match="rows that differ, got 'lr=1' 2 times"):
        make_rows(['c.py'], [{'lr': 1}, {'lr': 1}, {'lr': 2}])
    with pytest.raises(ValueError, match="got 'c' 2 times"):
        make_rows(['a/c.py', 'b/c.py'], [{}])
