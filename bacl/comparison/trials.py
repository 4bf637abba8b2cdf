"""What tuning tried, and the file that keeps it: trials.csv."""
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from bacl.engine.running.settings import Settings

_COLUMNS = ['method', 'settings', 'held-out AP']


@dataclass(frozen=True)
class Trial:
    """A setting that was tried for a method on the held-out images.

    Attributes:
        method: its name.
        settings: that were tried.
        ap: on the held-out images, in [0, 1]; None if the run failed.
    """

    method: str
    settings: Settings
    ap: float | None


def settings_text(settings: Settings) -> str:
    """Settings in one line, without files, which another machine has elsewhere.

    Args:
        settings: of a trial.
    """
    return ' '.join(f'{key}={value}' for key, value in settings.items()
                    if not key.endswith('.ann_file'))


def trials_frame(trials: Iterable[Trial]) -> pd.DataFrame:
    """Trials as a table, AP in percent.

    Args:
        trials: in the order of the rows.
    """
    return pd.DataFrame([(trial.method, settings_text(trial.settings),
                          None if trial.ap is None else 100 * trial.ap) for trial in trials],
                        columns=_COLUMNS)


def read_trials(file: Path) -> dict[tuple[str, str], float]:
    """AP on the held-out images, in [0, 1], by method and text of the settings.

    Trials that failed are left out.

    Args:
        file: that a comparison wrote.

    Raises:
        ValueError: if the file is another one.
    """
    trials = pd.read_csv(file)
    if list(trials.columns) != _COLUMNS:
        raise ValueError(f'The trials of a comparison have the columns {_COLUMNS}, and {file} has '
                         f'{list(trials.columns)}.')
    return {(method, settings): ap / 100 for method, settings, ap
            in trials.dropna().itertuples(index=False)}
