"""Semantics of classes: text embeddings, and teachers that know what a box shows."""
from .clip_teacher import CLIPTeacher
from .conse_teacher import ConSETeacher
from .embedding_cache import EmbeddingCache
from .random_teacher import RandomTeacher
from .sentence_encoder import SentenceEncoder
from .soft_labels import soft_label_loss
from .teacher import SemanticTeacher
from .word_pieces import WordPieces

__all__ = ['CLIPTeacher', 'ConSETeacher', 'EmbeddingCache', 'RandomTeacher', 'SemanticTeacher',
           'SentenceEncoder', 'WordPieces', 'soft_label_loss']
