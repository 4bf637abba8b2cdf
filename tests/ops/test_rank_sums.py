import bacl  # noqa: F401
import torch
from bacl.ops import gather_rows


def test_one_rank_keeps_what_it_has():
    classes, rows = torch.tensor([1, 4]), torch.rand(2, 3)
    ((same_classes, same_rows),) = gather_rows(classes, rows)
    assert same_classes is classes and same_rows is rows


def test_rows_of_present_classes_travel_and_no_others(monkeypatch):
    sent = []

    def all_gather(tensor):
        sent.append(tensor.clone())
        # Another rank has three classes.
        return [tensor, torch.full_like(tensor, 3) if tensor.dim() == 0 else -tensor]

    monkeypatch.setattr('bacl.ops.rank_sums.get_world_size', lambda: 2)
    monkeypatch.setattr('bacl.ops.rank_sums.all_gather', all_gather)
    rows = torch.tensor([[0.5, 2], [0.25, 1], [0, 0], [0, 0]])  # two void
    (classes, own), (_, other) = gather_rows(torch.tensor([2, 2**24 - 1, 9, 9]), rows)
    assert [len(tensor) if tensor.dim() else tensor.item() for tensor in sent] == [2, 3]
    assert classes[:2].tolist() == [2, 2**24 - 1]
    assert torch.equal(own, rows[:3]) and torch.equal(other, -own)


def test_a_rank_with_fewer_classes_sends_empty_rows(monkeypatch):
    monkeypatch.setattr('bacl.ops.rank_sums.get_world_size', lambda: 2)
    monkeypatch.setattr('bacl.ops.rank_sums.all_gather', lambda tensor: [
        tensor, torch.full_like(tensor, 2)])
    (classes, rows), _ = gather_rows(torch.tensor([3]), torch.tensor([[0.5, 1]]))
    assert classes.tolist() == [3, 0] and rows.tolist() == [[0.5, 1], [0, 0]]
