"""What a sweep compares: configs, with settings."""
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bacl.engine.running.settings import Settings


@dataclass(frozen=True)
class Row:
    """A config with settings.

    Attributes:
        name: of no other row.
        config: path of the file, of a stage 2.
        settings: that it is changed by.
    """

    name: str
    config: str
    settings: Settings = field(default_factory=dict)


def describe(row: Row) -> dict[str, str]:
    """A row in a CSV: the name of its config and, under their keys, its settings.

    They are text, so that None is told from what a row does not set.
    """
    return {'config': Path(row.config).stem,
            **{key: str(value) for key, value in row.settings.items()}}


def make_rows(configs: Sequence[str], settings: Sequence[Settings]) -> list[Row]:
    """All configs with all settings, named after what differs.

    Args:
        configs: paths.
        settings: of each of them.

    Raises:
        ValueError: if two rows are the same.
    """
    names = _without_shared_start([Path(config).stem for config in configs])
    keys = dict.fromkeys(key for setting in settings for key in setting)
    varied = [key for key in keys if any(
        setting.get(key, ...) != settings[0].get(key, ...) for setting in settings)]
    rows = []
    for config, name in zip(configs, names, strict=True):
        for setting in settings:
            words = [f'{_short(key, varied)}={setting[key]}' for key in varied if key in setting]
            if len(configs) > 1 or not words:
                words.insert(0, name)
            rows.append(Row(' '.join(words), config, setting))
    for row in rows:
        if (number := sum(other.name == row.name for other in rows)) > 1:
            raise ValueError(f'A sweep expects rows that differ, got {row.name!r} {number} times.')
    return rows


def _without_shared_start(names: Sequence[str]) -> list[str]:
    """Names without what all of them begin with, up to a ``_`` or ``-``."""
    if len(names) == 1:
        return list(names)
    ends = [end for end, sign in enumerate(names[0], start=1) if sign in '_-' and all(
        name.startswith(names[0][:end]) for name in names)]
    return [name[max(ends, default=0):] for name in names]


def _short(key: str, keys: Sequence[str]) -> str:
    """As much of the end of a key as no other key ends with."""
    parts = key.split('.')
    ends = ['.'.join(parts[start:]) for start in reversed(range(len(parts)))]
    return next((end for end in ends if sum(f'.{k}'.endswith(f'.{end}') for k in keys) == 1), key)
