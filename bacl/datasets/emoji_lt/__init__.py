"""Emoji-LT: a small long-tailed detection dataset with masks, built from installed packages."""
from .builder import EmojiLTSummary, build_emoji_lt
from .presets import PRESETS, Preset

__all__ = ['PRESETS', 'EmojiLTSummary', 'Preset', 'build_emoji_lt']
