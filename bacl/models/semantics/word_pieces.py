"""Tokens of BERT: words, cut into the longest pieces that a vocabulary has."""
import unicodedata
from collections.abc import Iterator, Mapping

MAX_WORD_LENGTH = 100  # a longer word is unknown


class WordPieces:
    """Turns text into numbers of word pieces, as BERT's uncased models expect it.

    Text is lower-cased and loses its accents; punctuation marks and Chinese characters are words of
    their own. Of each word the longest beginning that the vocabulary has is the first piece, and so
    on; a piece that does not begin a word is written with ``##``. A word that cannot be cut so is
    ``[UNK]``.

    Args:
        vocabulary: number of each piece; has ``[CLS]``, ``[SEP]`` and ``[UNK]``.

    Reference:
        Devlin et al., "BERT", NAACL 2019; Wu et al., arXiv:1609.08144 (word pieces).

    Example:
        >>> pieces = WordPieces({'[CLS]': 0, '[SEP]': 1, '[UNK]': 2, 'tea': 3, '##pot': 4})
        >>> pieces('Teapot x')
        [0, 3, 4, 2, 1]
    """

    def __init__(self, vocabulary: Mapping[str, int]) -> None:
        self.vocabulary = vocabulary

    def __call__(self, text: str) -> list[int]:
        """Numbers of the pieces of a text, between those of ``[CLS]`` and ``[SEP]``."""
        pieces = [piece for word in self.words(text) for piece in self.cut(word)]
        return [self.vocabulary[piece] for piece in ('[CLS]', *pieces, '[SEP]')]

    def words(self, text: str) -> Iterator[str]:
        """The words of a text."""
        text = unicodedata.normalize('NFD', text.lower())
        word = ''
        for character in text:
            category = unicodedata.category(character)
            if category == 'Mn' or (category[0] == 'C' and not character.isspace()):
                continue  # an accent, or a control character
            stands_alone = _is_punctuation(character, category) or '\u3400' <= character <= '\u9fff'
            if character.isspace() or stands_alone:
                yield from filter(None, (word, character if stands_alone else ''))
                word = ''
            else:
                word += character
        if word:
            yield word

    def cut(self, word: str) -> list[str]:
        """The pieces of a word."""
        pieces, start = [], 0
        while start < len(word) <= MAX_WORD_LENGTH:
            prefix = '##' if start else ''
            end = next((end for end in range(len(word), start, -1)
                        if prefix + word[start:end] in self.vocabulary), None)
            if end is None:
                return ['[UNK]']
            pieces.append(prefix + word[start:end])
            start = end
        return pieces or ['[UNK]']


def _is_punctuation(character: str, category: str) -> bool:
    """True of all of ASCII that is neither letter, digit nor space, and of Unicode's classes P."""
    is_ascii_symbol = '!' <= character <= '~' and not character.isalnum()
    return is_ascii_symbol or category.startswith('P')
