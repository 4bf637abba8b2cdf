import math

import bacl  # noqa: F401
import pytest
from bacl.engine.calibration.sweep import Curve, check_parameter, parse_sweep
from bacl.models.calibrators import FRACAL, LogitAdjustment, NorCal, TauNorm, Temperature


@pytest.mark.parametrize(('text', 'values'), [
    ('a=0:0.3:0.1', [0, 0.1, 0.2, 0.3]), ('a=1:0:-0.5', [1, 0.5, 0]), ('a=0:1:0.4', [0, 0.4, 0.8]),
    ('a=2', [2]), ('a=0.5,-1', [0.5, -1])])
def test_values_are_a_list_or_steps_with_their_end(text, values):
    assert parse_sweep(text) == ('a', values)


@pytest.mark.parametrize('text', ['a', 'a=', '=1', 'a=0:1', 'a=0:1:0', 'a=1:0:1', 'a=x', 'a=nan',
                                  'a=0:inf:1', 'a=0:1:0.1:2'])
def test_anything_else_is_refused(text):
    with pytest.raises(ValueError, match='--sweep expects NAME=FROM:TO:STEP'):
        parse_sweep(text)


@pytest.mark.parametrize('kind', [NorCal, LogitAdjustment, FRACAL, TauNorm, Temperature])
def test_default_sweeps_are_of_parameters_and_have_what_changes_nothing(kind):
    name, values = parse_sweep(kind.default_sweep)
    check_parameter(kind, name)
    assert (1 if kind is Temperature else 0) in values
    with pytest.raises(ValueError, match=f"{name}.*'alpha'"):
        check_parameter(kind, 'alpha')


def test_the_first_of_equally_good_values_is_chosen_and_a_group_may_have_no_ap(tmp_path):
    curve = Curve('tau', [0., 1., 2.], [dict(AP=ap, APr=math.nan, APf=1 - ap)
                                        for ap in (0.1, 0.25, 0.25)], dict(AP=0.1, APr=math.nan,
                                                                           APf=0.9))
    keys = ['AP', 'APr', 'APf']
    assert curve.best() == 1 and curve.best('APf') == 0
    with pytest.raises(ValueError, match="--select.*'APf'.*'AP9'"):
        curve.best('AP9')
    with pytest.raises(ValueError, match='--select.*got APr.*--holdout-ann'):
        curve.best('APr')
    table = [line.split() for line in curve.table(keys).splitlines()]
    assert table[1] == ['plain', '10.00', '-', '90.00']
    assert [row[-1] == '<' for row in table] == [False, False, False, True, False]
    curve.write_csv(tmp_path / 'a.csv', keys)
    assert (tmp_path / 'a.csv').read_text().split() == [
        'tau,AP,APr,APf', 'plain,0.1,,0.9', '0,0.1,,0.9', '1,0.25,,0.75', '2,0.25,,0.75']


def test_a_value_whose_ap_is_unknown_is_not_chosen():
    results = [dict(AP=ap) for ap in (math.nan, 0.1, 0.2)]
    assert Curve('tau', [0., 1., 2.], results, results[0]).best() == 2
