"""What is compared, and what each method may be tuned by: configs/comparison/*/methods.yml."""
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from bacl.engine.running.settings import Settings


@dataclass(frozen=True, eq=False)
class Method:
    """A method, as it is compared.

    Attributes:
        name: of no other method.
        config: name of its config, which is that of the file.
        idea: what kind of idea it is, in a word or two; methods of one kind are summed up together.
        settings: that the config is changed by.
        strength: the one setting beside the learning rate that it is tuned by, and the values that
            are tried beside the config's own.
        plain: name of the method that trains the same kind of classifier without an idea.
        calibrators: types of what its classifier is calibrated with, once it is trained: a row of
            the comparison for each.
        paper: its name in the table of the paper; None if it is not there.
    """

    name: str
    config: str
    idea: str
    plain: str
    settings: Settings = field(default_factory=dict)
    strength: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    calibrators: Sequence[str] = ()
    paper: str | None = None

    def strengths(self) -> list[Settings]:
        """Settings of the strength that are tried beside the config's own."""
        return [{key: value} for key, values in self.strength.items() for value in values]


@dataclass(frozen=True)
class Comparison:
    """All methods, and what is the same for all of them.

    Attributes:
        methods: in the order of the file.
        learning_rates: ladder of factors of a config's learning rate, rising, with 1.
        calibrators: by type, the name of the strength and the values that are tried.
        settings: that the configs of all methods are changed by, before those of a method.
        baseline: name of the method that gains are measured against.
        reference: name of another one.
        trains_features: whether the configs train the whole detector, all from the start or all
            from one stage 1, instead of a stage 2 over a feature bank. Nothing is held out then, so
            nothing can be tuned.
    """

    methods: Sequence[Method]
    learning_rates: Sequence[float]
    calibrators: Mapping[str, Mapping[str, Sequence[float]]]
    baseline: str
    reference: str
    settings: Settings = field(default_factory=dict)
    trains_features: bool = False

    def chosen(self, names: Sequence[str]) -> list[Method]:
        """The methods with these names, in the order of the file, and baseline and reference.

        Raises:
            ValueError: if a name is that of no method.
        """
        known = [method.name for method in self.methods]
        for name in names:
            if name not in known:
                raise ValueError(f'--methods expects some of {known}, got {name!r}.')
        wanted = {*names, self.baseline, self.reference}
        return [method for method in self.methods if method.name in wanted]


def read_comparison(path: Path) -> Comparison:
    """Read a file such as configs/comparison/stage2/methods.yml.

    Args:
        path: of the file.

    Raises:
        FileNotFoundError: if there is none.
        ValueError: if what it says does not fit together.
    """
    content = yaml.safe_load(path.read_text())
    try:
        content['methods'] = [Method(**entry) for entry in content['methods']]
        comparison = Comparison(**content)
    except TypeError as error:  # a key that is unknown, or lacking
        raise ValueError(f'{path}: {error}') from error
    names = [method.name for method in comparison.methods]
    for name in (comparison.baseline, comparison.reference, *names):
        if names.count(name) != 1:
            raise ValueError(f'{path} expects one method {name!r}, got {names.count(name)}.')
    for method in comparison.methods:
        if method.plain not in names:
            raise ValueError(f'{path} expects a method as what is plain beside {method.name!r}, '
                             f'got {method.plain!r}.')
        if not set(method.calibrators) <= set(comparison.calibrators):
            raise ValueError(f'{path} expects some of {list(comparison.calibrators)} as '
                             f'calibrators of {method.name!r}, got {method.calibrators!r}.')
        if len(method.strength) > 1:
            raise ValueError(f'{path} expects one strength of {method.name!r}, got '
                             f'{list(method.strength)}.')
    rates = list(comparison.learning_rates)
    if 1 not in rates or rates != sorted(set(rates)):
        raise ValueError(f'{path} expects rising learning_rates with 1, the learning rate of the '
                         f'config, got {rates}.')
    if comparison.trains_features and (len(comparison.learning_rates) > 1 or any(
            method.strength or method.calibrators for method in comparison.methods)):
        raise ValueError(f'{path} expects one of learning_rates, and methods without strength and '
                         'calibrators, as it trains_features: no images are held out to tune on.')
    return comparison
