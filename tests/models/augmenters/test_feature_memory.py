import bacl  # noqa: F401
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from bacl.models.augmenters import FeatureMemory, Samples, feature_memory
from bacl.models.augmenters.feature_memory import ranks_in_class
from hypothesis import given
from hypothesis import strategies as st


def tagged(tags, labels, num_feats=1):
    """Samples that are recognised by their feature; the box targets say it, too."""
    tags = torch.as_tensor(tags, dtype=torch.float32)[:, None]
    return Samples(tags.expand(-1, num_feats), torch.as_tensor(labels, dtype=torch.long),
                   tags.expand(-1, 4) + 0.5)


def content(memory):
    """Tags of each class, from the oldest to the newest."""
    return [[memory.feats[c, (stored - size + k) % memory.capacity, 0].item() for k in range(size)]
            for c, (stored, size) in enumerate(zip(memory.num_stored.tolist(),
                                                   memory.size().tolist(), strict=True))]


@pytest.mark.golden('loce.npz')
def test_equals_official_queues(golden):
    capacity = int(golden['mfs_queue_size'])
    memory = FeatureMemory(int(golden['num_classes']), 1, capacity, 'first').double()
    for push in range(3):
        memory.push(Samples(golden[f'mfs_push_tag_{push}'][:, None],
                            golden[f'mfs_push_labels_{push}'], golden[f'mfs_push_reg_{push}']))
        is_there = golden[f'mfs_queue_labels_after_{push}'] >= 0
        assert torch.equal(memory.feats[:-1, :, 0], golden[f'mfs_queue_tag_after_{push}'])
        assert torch.equal(torch.arange(capacity) < memory.size()[:, None], is_there)
        # The official pointer is at the end of a full queue rather than at its begin.
        assert torch.equal(memory.num_stored % capacity,
                           golden[f'mfs_queue_ptr_after_{push}'] % capacity)
    classes = golden['mfs_selected_classes']
    classes = classes[memory.size()[classes] > 0]
    slots = golden['mfs_picked_slots']
    feats, labels, box_targets, total_weight = memory.take(
        classes, slots, torch.ones_like(slots, dtype=torch.bool))
    assert torch.equal(feats[:, 0], golden['mfs_out_tag'])
    assert torch.equal(labels, golden['mfs_out_labels'])
    assert torch.equal(box_targets, golden['mfs_out_reg']) and total_weight is None


@pytest.mark.parametrize('keep', ['last', 'first'])
@pytest.mark.parametrize('on_gpu', [False, True], ids=['', 'as on a GPU'])
@given(steps=st.lists(st.lists(st.integers(0, 3), max_size=9), max_size=5),
       capacity=st.integers(1, 4))
def test_equals_a_list_for_each_class(keep, on_gpu, steps, capacity):
    with pytest.MonkeyPatch.context() as patch:
        if on_gpu:
            patch.setattr('bacl.ops.class_groups.is_on_cpu', lambda tensor: False)
        memory, lists, tag = FeatureMemory(3, 2, capacity, keep), [[], [], []], 0
        for labels in steps:
            new = [[], [], []]
            for offset, label in enumerate(labels):
                if label < 3:  # 3 is background
                    new[label].append(tag + offset)
            memory.push(tagged(range(tag, tag + len(labels)), labels, num_feats=2))
            tag += len(labels)
            for own, added in zip(lists, new, strict=True):
                own += added[-capacity:] if keep == 'last' else added[:capacity]
        assert content(memory) == [own[-capacity:] for own in lists]
        assert not memory.feats[-1].any() and not memory.box_targets[-1].any()
        targets = memory.box_targets[:-1, :, 0]
        assert torch.equal(targets - 0.5 * (targets > 0), memory.feats[:-1, :, 0].float())


@given(labels=st.lists(st.integers(0, 4), max_size=20))
def test_ranks_count_earlier_samples_of_the_class(labels):
    order, rank = ranks_in_class(torch.tensor(labels, dtype=torch.long))
    assert order.tolist() == np.argsort(labels, kind='stable').tolist()
    assert rank.tolist() == [labels[:k].count(labels[k]) for k in order.tolist()]


@pytest.mark.parametrize('on_gpu', [False, True], ids=['', 'as on a GPU'])
@pytest.mark.parametrize('labels', [[[0, 2, 1, 2], [1, 2]], [[], [0, 0]], [[2, 2], []]])
def test_ranks_store_the_samples_of_all_in_their_order(monkeypatch, labels, on_gpu):
    """Ranks that send less than others send void rows behind theirs."""
    if on_gpu:
        monkeypatch.setattr('bacl.ops.class_groups.is_on_cpu', lambda tensor: False)
    tags = [list(range(len(labels[0]))), list(range(10, 10 + len(labels[1])))]
    sent = []

    def send(classes, rows):
        sent.append((F.pad(classes, (0, 2)), F.pad(rows, (0, 0, 0, 2))))
        return [(classes, rows)]

    monkeypatch.setattr(feature_memory, 'gather_rows', send)
    for parts in zip(tags, labels, strict=True):
        FeatureMemory(2, 1, 3).push(tagged(*parts))
    monkeypatch.setattr(feature_memory, 'gather_rows', lambda *rows: sent)
    memory, expected = FeatureMemory(2, 1, 3), FeatureMemory(2, 1, 3, sync=False)
    memory.push(tagged([], []))
    expected.push(tagged(sum(tags, []), sum(labels, [])))
    assert content(memory) == content(expected)
    assert torch.equal(memory.box_targets, expected.box_targets)


def test_what_half_precision_cannot_represent_is_clamped_and_nothing_else_changes():
    memory = FeatureMemory(2, 1, 2)
    memory.push(tagged([1e6, -1e6], [0, 0]))
    assert content(memory) == [[65504, -65504], []]
    before = {name: value.clone() for name, value in memory.state_dict().items()}
    memory.push(tagged([], []))
    memory.push(tagged([1, 2], [2, 2]))
    assert all(torch.equal(value, before[name]) for name, value in memory.state_dict().items())
    assert memory.scalars() == {'memory/known_classes': 1}


def test_what_is_not_there_is_void():
    memory = FeatureMemory(3, 1, 2)
    memory.push(tagged([7], [1]))
    is_there = torch.tensor([[False, False], [True, False]])
    classes, slots = torch.tensor([0, 1]), torch.tensor([[0, 1], [0, 1]])
    assert memory.take(classes, slots, is_there).feats.tolist() == [[7]]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('bacl.ops.class_groups.is_on_cpu', lambda tensor: False)
        feats, labels, box_targets, _ = memory.take(classes, slots, is_there)
    assert labels.tolist() == [3, 3, 1, 3] and feats[2] == 7 and box_targets[2, 0] == 7.5
    assert feats.dtype == torch.float32


def test_a_restored_memory_goes_on_as_the_saved_one():
    saved, restored = FeatureMemory(2, 1, 2), FeatureMemory(2, 1, 2)
    saved.push(tagged([1, 2, 3], [0, 0, 0]))
    restored.load_state_dict(saved.state_dict())
    for memory in (saved, restored):
        memory.push(tagged([4, 5], [0, 1]))
    assert content(restored) == content(saved) == [[3, 4], [5]]


@pytest.mark.parametrize('kwargs, name', [(dict(capacity=0), 'capacity='),
                                          (dict(capacity=2, keep='best'), 'keep=')])
def test_arguments_out_of_range_are_named(kwargs, name):
    with pytest.raises(ValueError, match=name):
        FeatureMemory(3, 2, **kwargs)
