import bacl  # noqa: F401
import pytest
import torch
from bacl.compat.checkpoints import UnsafeCheckpointError
from bacl.models.semantics import clip_teacher
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData

open_clip = pytest.importorskip('open_clip')
# The architecture of CLIP's ResNet-50, as small as it can be: 2 x 2 cells for the pool.
SMALL = dict(embed_dim=64, quick_gelu=True,
             vision_cfg=dict(image_size=64, layers=[1, 1, 1, 1], width=16),
             text_cfg=dict(context_length=77, vocab_size=49408, width=64, heads=2, layers=2))


def build(**kwargs):
    from bacl.models.semantics import CLIPTeacher

    torch.manual_seed(0)
    return CLIPTeacher(**{'checkpoint': None, 'model': SMALL, **kwargs})


def test_of_a_whole_image_the_embedding_is_that_of_the_model():
    teacher = build()
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        expected = teacher._clip[0].encode_image((images - teacher.mean) / teacher.std)
    got = teacher.embed_boxes(images, [torch.tensor([[0., 0, 64, 64]])])
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)


def test_an_image_of_any_size_is_embedded_as_beside_larger_ones():
    teacher, box = build(), [torch.tensor([[40., 40, 94, 94]])]
    beside = teacher.mean.expand(1, 3, 96, 96).clone()
    beside[:, :, :94, :94] = torch.rand(1, 3, 94, 94)
    with torch.no_grad():
        alone = teacher.embed_boxes(beside[:, :, :94, :94], box)
        torch.testing.assert_close(alone, teacher.embed_boxes(beside, box))


def test_a_class_is_the_mean_of_its_prompts_and_logits_have_the_scale_of_the_model():
    teacher = build()
    teacher._templates = (lambda name: f'a photo of a {name}.', '{}.'.format)
    teacher.set_classes(['fire_engine', 'dog'])
    clip, tokens = teacher._clip[0], open_clip.SimpleTokenizer()
    with torch.no_grad():
        raw = torch.stack([clip.encode_text(tokens([f'a photo of a {name}.', f'{name}.'])).mean(0)
                           for name in ('fire_engine', 'dog')])
    torch.testing.assert_close(teacher.class_embeddings, raw, rtol=1e-4, atol=1e-5)
    sample = DetDataSample()
    sample.gt_instances = InstanceData(bboxes=torch.tensor([[0., 0, 30, 40]]))
    (logits,) = teacher(torch.rand(1, 3, 64, 96), [sample])
    assert logits.shape == (1, 2) and logits.abs().max() <= teacher.scale
    assert teacher.scale == pytest.approx(1 / 0.07)  # what CLIP starts from


def test_weights_come_from_a_file(tmp_path):
    teacher = build()
    numbers = dict(input_resolution=64, context_length=77, vocab_size=49408)  # in OpenAI's files
    torch.save({**teacher._clip[0].state_dict(), **{
        name: torch.tensor(value) for name, value in numbers.items()}}, tmp_path / 'clip.pt')
    torch.manual_seed(1)
    from bacl.models.semantics import CLIPTeacher

    other = CLIPTeacher(str(tmp_path / 'clip.pt'), model=SMALL)
    # As distributed trainings of open_clip save them.
    torch.save(dict(epoch=1, state_dict={f'module.{name}': value for name, value in teacher._clip[
        0].state_dict().items()}), tmp_path / 'distributed.pt')
    distributed = CLIPTeacher(str(tmp_path / 'distributed.pt'), model=SMALL)
    for name, value in teacher._clip[0].state_dict().items():
        assert torch.equal(other._clip[0].state_dict()[name], value)
        assert torch.equal(distributed._clip[0].state_dict()[name], value)


class Malicious:
    def __reduce__(self):
        return print, ('code ran',)


def test_files_that_are_not_its_weights_are_refused(tmp_path, capsys):
    torch.save(dict(weight=torch.zeros(2)), tmp_path / 'other.pt')
    with pytest.raises(ValueError, match=r"checkpoint=.*of another|expects the weights.*other\.pt"):
        build(checkpoint=str(tmp_path / 'other.pt'))
    with pytest.raises(FileNotFoundError, match=r'none\.safetensors'):
        build(checkpoint=str(tmp_path / 'none.safetensors'))
    torch.jit.trace(torch.nn.Linear(2, 2), torch.zeros(1, 2)).save(tmp_path / 'program.pt')
    with pytest.raises(ValueError, match=r'got the program .*program\.pt .*Save its state dict'):
        build(checkpoint=str(tmp_path / 'program.pt'))
    torch.save(dict(weight=Malicious()), tmp_path / 'unsafe.pt')
    with pytest.raises(UnsafeCheckpointError, match='Nothing of it was executed'):
        build(checkpoint=str(tmp_path / 'unsafe.pt'))
    assert 'code ran' not in capsys.readouterr().out


def test_other_models_are_refused():
    with pytest.raises(ValueError, match='model=.*RN50-quickgelu'):
        build(model='no-such-model')
    vision = dict(SMALL['vision_cfg'], layers=1, patch_size=32, width=64)
    with pytest.raises(ValueError, match='a CLIP with a ResNet'):
        build(model=dict(SMALL, vision_cfg=vision))
    with pytest.raises(ValueError, match='a CLIP with a ResNet'):
        build(model=dict(SMALL, multimodal_cfg={}))
    with pytest.raises(ValueError, match='a CLIP with a ResNet'):
        build(model=dict(SMALL, text_cfg=dict(hf_model_name='some/model')))


def test_texts_are_embedded_many_at_once(monkeypatch):
    teacher, sizes = build(), []
    teacher._templates = ('{}'.format, 'a {}'.format)
    encode = teacher._clip[0].encode_text
    monkeypatch.setattr(teacher._clip[0], 'encode_text',
                        lambda tokens: sizes.append(len(tokens)) or encode(tokens))
    monkeypatch.setattr(clip_teacher, 'NUM_TEXTS', 2)
    teacher.set_classes(['dog', 'cat', 'cow'])
    assert sizes == [2, 1, 2, 1]
