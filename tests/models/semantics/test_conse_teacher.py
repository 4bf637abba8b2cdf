import bacl  # noqa: F401
import pytest
import torch
import torch.nn.functional as F
from bacl.models.semantics import ConSETeacher, SentenceEncoder, conse_teacher
from mmengine.runner.checkpoint import CheckpointLoader
from torchvision.models._meta import _IMAGENET_CATEGORIES
from torchvision.ops import roi_align


def encode(names):
    """A unit vector for each name, the same whenever it is asked."""
    vectors = [torch.randn(6, generator=torch.Generator().manual_seed(sum(name.encode())))
               for name in names]
    return F.normalize(torch.stack(vectors), dim=1)


@pytest.fixture
def teacher(monkeypatch):
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


def test_images_without_boxes_have_none(teacher):
    teacher.set_classes(['dog', 'emu'])
    assert teacher._embed(torch.rand(1, 3, 64, 64), [torch.zeros(0, 4)]).shape == (0, 6)
