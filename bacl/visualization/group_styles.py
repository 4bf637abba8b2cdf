"""Names, colours and symbols of frequency groups, for any number of them."""
from collections.abc import Iterable, Sequence

from bacl.annotations import FrequencyGroup

# Of Okabe and Ito's palette, which people with any colour vision can tell apart; dark enough for a
# white page and light enough for a black one.
COLOURS = ('#D55E00', '#0072B2', '#009E73', '#CC79A7', '#E69F00', '#56B4E9')
# Names of plotly, so that nobody needs the colours, and the same shapes as matplotlib calls them.
SYMBOLS = ('diamond', 'square', 'circle', 'cross', 'triangle-up', 'x', 'star', 'hexagon')
MARKERS = dict(zip(SYMBOLS, 'DsoP^X*h', strict=True))
# Of a scale from dark to bright without its ends, which vanish on black or on white pages.
SCALE, DARKEST, BRIGHTEST = 'viridis', 0.15, 0.8


class GroupStyles:
    """The look of the frequency groups of a dataset, in order of their rank.

    Up to six groups have colours that differ as much as they can. More have shades from dark, for
    the rarest, to bright, which stay in order in a print without colours.

    Args:
        groups: from the rarest.
    """

    def __init__(self, groups: Sequence[FrequencyGroup]) -> None:
        self.groups = tuple(groups)
        self._position = {group.key: position for position, group in enumerate(self.groups)}
        self.colours = COLOURS[:len(groups)] if len(groups) <= len(COLOURS) \
            else _shades(len(groups))

    def position(self, key: str) -> int:
        """Rank of a group, 0 for the rarest."""
        return self._position[key]

    def label(self, key: str) -> str:
        """Name of a group, in words."""
        return self.groups[self.position(key)].label

    def style(self, key: str) -> dict[str, str]:
        """Colour and symbol of a group, as plotly's markers have them."""
        position = self.position(key)
        return dict(color=self.colours[position], symbol=SYMBOLS[position % len(SYMBOLS)])

    def present(self, keys: Iterable[str]) -> list[str]:
        """The keys that occur, from the rarest group."""
        return sorted(set(keys), key=self.position)


def _shades(number: int) -> tuple[str, ...]:
    from matplotlib import colormaps  # not at import: it takes long
    from matplotlib.colors import to_hex

    step = (BRIGHTEST - DARKEST) / (number - 1)
    return tuple(to_hex(colormaps[SCALE](DARKEST + step * position)) for position in range(number))
