"""Emoji-LT: a small long-tailed detection dataset with masks, built from installed packages."""
from .builder import EmojiLTSummary, build_emoji_lt
from .image_level import ImageLevelSummary, build_image_level
from .presets import PRESETS, Preset

__all__ = ['PRESETS', 'EmojiLTSummary', 'ImageLevelSummary', 'Preset', 'build_emoji_lt',
           'build_image_level']
