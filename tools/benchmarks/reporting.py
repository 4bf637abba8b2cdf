"""Helpers of the benchmarks: timing several things in turn, and printing what was measured.

A row is a dict of ``name``, ``value``, ``unit`` and ``target``: '<= 1.25', '>= 100' or None.
"""

import argparse
import json
import operator
import platform
from collections.abc import Callable, Iterable
from importlib.metadata import version
from pathlib import Path
from statistics import median

import torch
from torch.utils.benchmark import timer

PACKAGES = ('torch', 'torchvision', 'numpy', 'mmdet', 'mmengine', 'mmcv-lite')
COMPARISONS = {'<=': operator.le, '>=': operator.ge}


def row(name: str, value: float, unit: str, target: str | None = None) -> dict:
    """Return a row."""
    return dict(name=name, value=value, unit=unit, target=target)


def time_in_turn(functions: dict[str, Callable[[], object]], rounds: int,
                 clock: Callable[[], float] = timer) -> dict[str, list[float]]:
    """Time functions in turn, so that whatever else the machine does meets all of them.

    Args:
        functions: name of each to what is timed.
        rounds: how often each is timed, after one call to warm up. One call is a time; torch's own
            Timer would make three of it, which with seconds a call is too long.
        clock: gives seconds; the default is torch's, which waits for a GPU.

    Returns:
        Seconds of each round, by name.
    """
    for function in functions.values():
        function()
    seconds = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            start = clock()
            function()
            seconds[name].append(clock() - start)
    return seconds


def compare(name: str, seconds: dict[str, list[float]], ours: str, theirs: str,
            target: str | None, speed: bool = False) -> list[dict]:
    """Return rows of the median time of two functions and of the ratio in a round.

    Args:
        name: what was done.
        seconds: what :func:`time_in_turn` returned.
        ours: key of the numerator.
        theirs: key of the denominator.
        target: of the ratio.
        speed: divide speeds instead of times.
    """
    pairs = zip(seconds[ours], seconds[theirs], strict=True)
    ratio = median(b / a if speed else a / b for a, b in pairs)
    return [row(f'{name}, {key}', 1000 * median(seconds[key]), 'ms') for key in (theirs, ours)] + [
        row(f'{name}, {ours} / {theirs}', ratio, 'x speed' if speed else 'x time', target)]


def is_met(value: float, target: str) -> bool:
    """True if a value is on the right side of its target."""
    comparison, bound = target.split()
    return COMPARISONS[comparison](value, float(bound))


def environment() -> str:
    """Return machine, threads and versions in one line. The benchmarks run on the CPU."""
    versions = ', '.join(f'{package} {version(package)}' for package in PACKAGES)
    return (f'{processor()}, {torch.get_num_threads()} threads; '
            f'Python {platform.python_version()}, {versions}')


def processor() -> str:
    """Return the name of the processor, if the system tells."""
    cpuinfo = Path('/proc/cpuinfo')
    names = [line.partition(':')[2].strip() for line in cpuinfo.read_text().splitlines()
             if line.startswith('model name')] if cpuinfo.exists() else []
    return names[0] if names else platform.processor() or platform.machine()


def format_table(rows: list[dict]) -> str:
    """Return rows as a Markdown table."""
    lines = ['| what | value | target |', '|---|---|---|']
    for entry in rows:
        target = entry['target'] or ''
        if target:
            target += ', met' if is_met(entry['value'], target) else ', **missed**'
        lines.append(f'| {entry["name"]} | {entry["value"]:.4g} {entry["unit"]} | {target} |')
    return '\n'.join(lines)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that every benchmark has."""
    parser.add_argument('--threads', type=int, default=torch.get_num_threads(), help='of torch')
    parser.add_argument('--json', type=Path, help='file for the rows')
    parser.add_argument('--quick', action='store_true',
                        help='small sizes: to see that it runs; the numbers mean nothing')


def run(args: argparse.Namespace,
        measure: Callable[[argparse.Namespace], Iterable[dict]]) -> None:
    """Measure with the wanted number of threads, print, and write the file."""
    torch.set_num_threads(args.threads)
    rows = list(measure(args))
    print(environment(), format_table(rows), sep='\n\n')
    if args.json:
        args.json.write_text(json.dumps(dict(environment=environment(), rows=rows), indent=1))
