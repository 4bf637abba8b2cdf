import importlib.util

import bacl  # noqa: F401
import pytest
from bacl.models.semantics import SentenceEncoder, WordPieces
from bacl.models.semantics.sentence_encoder import PACKAGE

TOKENS = ['[CLS]', '[SEP]', '[UNK]', 'un', '##aff', '##able', 'cafe', '!', '中', 'a', '-']


def pieces(text):
    numbers = WordPieces({token: number for number, token in enumerate(TOKENS)})(text)
    return [TOKENS[number] for number in numbers[1:-1]]


@pytest.mark.parametrize(('text', 'expected'), [
    ('unaffable', ['un', '##aff', '##able']),
    ('Café!', ['cafe', '!']),
    ('a-a', ['a', '-', 'a']),
    ('a中a', ['a', '中', 'a']),
    ('a\u0000 \ta', ['a', 'a']),
    ('unknown', ['[UNK]']),
    ('a' * 101, ['[UNK]']),
    ('', []),
])
def test_the_longest_pieces_come_first(text, expected):
    assert pieces(text) == expected


@pytest.mark.skipif(importlib.util.find_spec(PACKAGE) is None, reason=f'{PACKAGE} is not installed')
def test_pieces_of_the_real_vocabulary():
    encoder = SentenceEncoder.from_package()
    # By the published tokenizer: "hello world" is a word piece each, "smiling" too.
    assert encoder.pieces('Hello world') == [101, 7592, 2088, 102]
