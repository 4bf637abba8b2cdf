import bacl  # noqa: F401
import pytest
import torch
from bacl.ops import foreground_rows, group_by_class, sum_by_class, sum_groups
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

C = 5
labels_of_samples = st.lists(st.integers(0, C), max_size=12) | st.lists(st.just(C), max_size=3)


@pytest.fixture(params=[True, False], ids=['CPU', 'GPU'])
def is_on_cpu(request, monkeypatch):
    """Whether the code believes to run on a CPU: what a GPU does is computed here, too."""
    monkeypatch.setattr('bacl.ops.class_groups.is_on_cpu', lambda tensor: request.param)
    return request.param


# The fixture is the same for all examples.
on_both_devices = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@on_both_devices
@given(labels=labels_of_samples)
@pytest.mark.usefixtures('is_on_cpu')
def test_samples_of_a_class_and_no_others_share_a_group(labels):
    labels = torch.tensor(labels, dtype=torch.long)
    classes, group = group_by_class(labels, C)
    assert torch.equal(classes[group], labels)
    assert torch.equal(classes, classes.sort().values)
    assert len(set(group.tolist())) == len(set(labels.tolist()))


@on_both_devices
@given(labels=labels_of_samples)
def test_groups_are_as_many_as_classes_or_on_a_gpu_as_samples(is_on_cpu, labels):
    classes, group = group_by_class(torch.tensor(labels, dtype=torch.long), C)
    num_classes = len(set(labels))
    assert len(classes) == (num_classes if is_on_cpu else len(labels))
    assert (classes[num_classes:] == C).all()  # void
    assert set(group.tolist()) == set(range(num_classes))


@on_both_devices
@given(labels=labels_of_samples, seed=st.integers(0, 10**6))
@pytest.mark.usefixtures('is_on_cpu')
def test_sums_are_those_of_a_loop_over_the_classes(labels, seed):
    labels = torch.tensor(labels, dtype=torch.long)
    values = torch.randn(len(labels), 2, generator=torch.Generator().manual_seed(seed)).double()
    classes, rows = sum_by_class(values, labels, C)
    assert ((classes >= 0) & (classes < C)).all()
    state = torch.zeros(C, 3).double().index_add_(0, classes, rows)
    for c in range(C):
        own = values[labels == c]
        torch.testing.assert_close(state[c, :2], own.sum(0))
        assert state[c, 2] == len(own)
    # What is sent to other ranks ends behind the last row with samples.
    present = rows[:, -1] > 0
    assert torch.equal(present, present.sort(descending=True).values)


def test_foreground_rows_are_all_or_those_of_foreground(is_on_cpu):
    rows = foreground_rows(torch.tensor([C, 0, C, 4]), C)
    assert rows.tolist() == ([1, 3] if is_on_cpu else [0, 1, 2, 3])


def test_groups_are_summed_also_without_samples():
    assert sum_groups(torch.ones(3, 2), torch.tensor([1, 1, 0]), 3).tolist() == [
        [1, 1], [2, 2], [0, 0]]
    assert sum_groups(torch.ones(0, 2), torch.zeros(0, dtype=torch.long), 0).shape == (0, 2)
