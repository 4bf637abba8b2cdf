"""The sizes in which Emoji-LT comes."""
from typing import NamedTuple


class Preset(NamedTuple):
    """Sizes of a dataset.

    Attributes:
        num_rare: categories with 1 to 10 training images.
        num_common: categories with 11 to 100 training images.
        num_frequent: categories with more than 100 training images.
        num_train: training images.
        num_val: validation images.
        val_images_per_category: the same for all categories.
        image_size: side of the square images in pixels.
    """

    num_rare: int
    num_common: int
    num_frequent: int
    num_train: int
    num_val: int
    val_images_per_category: int
    image_size: int

    @property
    def num_categories(self) -> int:
        """Categories of all groups."""
        return self.num_rare + self.num_common + self.num_frequent


PRESETS = {
    # The smallest set with all three groups; trains in seconds.
    'smoke': Preset(num_rare=8, num_common=14, num_frequent=2, num_train=140, num_val=32,
                    val_images_per_category=7, image_size=160),
    # A benchmark of methods that a laptop trains on in minutes.
    'mini': Preset(num_rare=48, num_common=44, num_frequent=28, num_train=1500, num_val=400,
                   val_images_per_category=18, image_size=160),
    # The groups of LVIS v1 in images that two cores train on within an hour.
    'lvis-like': Preset(num_rare=337, num_common=461, num_frequent=405, num_train=22000,
                        num_val=1400, val_images_per_category=8, image_size=160),
    # The same groups in larger images, for a GPU.
    'full': Preset(num_rare=337, num_common=461, num_frequent=405, num_train=20000, num_val=2500,
                   val_images_per_category=15, image_size=320),
}


def get_preset(name: str) -> Preset:
    """Look up a preset.

    Args:
        name: 'smoke', 'mini', 'lvis-like' or 'full'.

    Raises:
        ValueError: if there is no such preset.
    """
    if name not in PRESETS:
        raise ValueError(f'build_emoji_lt(preset=) expects one of {tuple(PRESETS)}, got {name!r}.')
    return PRESETS[name]
