"""The size of LVIS v1 in one step: besides the state, nothing is larger than the logits."""
import time

import bacl  # noqa: F401
import torch
from bacl.models.augmenters import FeatureHallucinator
from bacl.models.losses import FCBL
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

NUM_CLASSES, NUM_ROIS, NUM_FEATS = 1203, 1024, 1024


class LargestTensor(TorchDispatchMode):
    """Size in bytes of the largest tensor that any operator makes, which views of state are not."""

    num_bytes = 0

    def __init__(self, *modules):
        super().__init__()
        self.state = {buffer.untyped_storage().data_ptr()
                      for module in modules for buffer in module.buffers()}

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, tuple | list) else [result]:
            if isinstance(tensor, torch.Tensor) \
                    and tensor.untyped_storage().data_ptr() not in self.state:
                self.num_bytes = max(self.num_bytes, tensor.numel() * tensor.element_size())
        return result


def step(classifier, loss, hallucinator, feats, labels):
    """What a RoI head does with its classifier in a training step."""
    foreground = labels < NUM_CLASSES
    hallucinator.distribution.observe(feats[foreground], labels[foreground])
    extra_feats, extra_labels = hallucinator.hallucinate(loss.indicator.strength())[:2]
    logits = classifier(torch.cat([feats, extra_feats]))
    value = loss(logits, torch.cat([labels, extra_labels]))
    value.backward()
    return value, len(extra_labels)


def test_a_step_of_all_lvis_classes_is_quick_and_small():
    torch.manual_seed(0)
    classifier = nn.Linear(NUM_FEATS, NUM_CLASSES + 1)
    loss, hallucinator = FCBL(NUM_CLASSES), FeatureHallucinator(NUM_CLASSES, NUM_FEATS)
    feats = torch.randn(NUM_ROIS, NUM_FEATS)
    # A quarter is foreground, as RoI samplers draw it, of as many classes as possible.
    labels = torch.full((NUM_ROIS,), NUM_CLASSES)
    labels[:NUM_ROIS // 4] = torch.randperm(NUM_CLASSES)[:NUM_ROIS // 4]
    every_class = torch.arange(NUM_CLASSES)
    hallucinator.distribution.observe(torch.randn(NUM_CLASSES, NUM_FEATS), every_class)

    with LargestTensor(loss, hallucinator) as largest:
        value, num_hallucinated = step(classifier, loss, hallucinator, feats, labels)
    assert value.isfinite() and num_hallucinated == 8 * 12
    logits = 4 * (NUM_ROIS + num_hallucinated) * (NUM_CLASSES + 1)
    assert largest.num_bytes == logits < 8 * NUM_CLASSES**2

    start = time.perf_counter()
    step(classifier, loss, hallucinator, feats, labels)
    assert time.perf_counter() - start < 3  # seconds; both steps together take 0.4 on one core
