import bacl  # noqa: F401
import pytest
import torch
from bacl.models.predictors import TextCosineLinear


@pytest.mark.golden('richsem.npz')
@pytest.mark.parametrize('branch', ['cls', 'sem'])
def test_logits_and_gradient_are_the_official_ones(golden, branch):
    embeddings = golden['text_embed']
    layer = TextCosineLinear(golden['hidden_states'].size(-1), len(embeddings),
                             embeddings.size(1), scale=golden['logit_scale_log'].exp().item())
    layer = layer.double()
    layer.set_text_embeddings(embeddings)
    layer.weight.data.copy_(golden[f'{branch}_proj_weight'])
    hidden = golden['hidden_states'].flatten(0, 2)
    logits = layer(hidden)
    torch.testing.assert_close(logits, golden[f'{branch}_logits'].flatten(0, 2), rtol=1e-9,
                               atol=1e-9)
    # Of the last layer of the decoder.
    name = 'full_grad_cls' if branch == 'cls' else 'soft_grad_sem'
    logits[len(logits) // 2:].backward(golden[f'{name}_logits'].flatten(0, 1))
    torch.testing.assert_close(layer.weight.grad, golden[f'{name}_proj_weight'], rtol=1e-9,
                               atol=1e-9)


def test_the_background_is_learned_in_the_place_of_a_text():
    layer = TextCosineLinear(4, 3, embed_dims=5, with_background=True)
    layer.set_text_embeddings(torch.randn(2, 5))
    layer.background.data.copy_(layer.text_embeddings[:1])
    logits = layer(torch.randn(6, 4))
    torch.testing.assert_close(logits[:, 2], logits[:, 0])
    assert not torch.allclose(logits[:, 1], logits[:, 0])


def test_embeddings_are_in_the_checkpoint_and_do_not_learn():
    layer = TextCosineLinear(4, 2, embed_dims=5)
    layer.set_text_embeddings(torch.randn(2, 5))
    other = TextCosineLinear(4, 2, embed_dims=5)
    other.load_state_dict(layer.state_dict())
    feats = torch.randn(3, 4)
    assert torch.equal(other(feats), layer(feats))
    assert [name for name, _ in layer.named_parameters()] == ['weight']


def test_embeddings_of_another_shape_and_scales_are_refused():
    with pytest.raises(ValueError, match=r'shape \(2, 5\), got \(3, 5\).*embed_dims'):
        TextCosineLinear(4, 2, embed_dims=5).set_text_embeddings(torch.zeros(3, 5))
    with pytest.raises(ValueError, match='scale='):
        TextCosineLinear(4, 2, embed_dims=5, scale=0)


def test_autocast_does_not_reach_the_cosines():
    layer = TextCosineLinear(in_features=8, out_features=3, embed_dims=4)
    layer.set_text_embeddings(torch.eye(3, 4))
    with torch.autocast('cpu', dtype=torch.bfloat16):
        assert layer(torch.randn(5, 8)).dtype == torch.float32


def test_training_without_embeddings_is_refused():
    layer = TextCosineLinear(4, 2, embed_dims=5)
    with pytest.raises(RuntimeError, match='expects text embeddings.*ImageSupervisedDetector'):
        layer.set_class_counts(None)
    layer.set_text_embeddings(torch.ones(2, 5))
    layer.set_class_counts(None)


def test_embeddings_of_a_checkpoint_may_differ_by_rounding_alone():
    layer = TextCosineLinear(4, 3, embed_dims=2)
    embeddings = torch.tensor([[3., 4], [1, 2], [2, 1]])
    layer.set_text_embeddings(embeddings)
    layer.set_text_embeddings(embeddings * (1 + 1e-3))
    other = embeddings.clone()
    other[1] += 0.1  # one class of many
    with pytest.raises(ValueError, match='got others for 1 of 3'):
        layer.set_text_embeddings(other)
