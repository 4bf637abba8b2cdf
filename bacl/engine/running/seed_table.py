"""Results of rows over several seeds: mean, spread, and differences to a base, seed by seed.

Differences are paired: those of one seed, with whom a row shares all random numbers that both
draw alike. So they vary less than the results themselves.
"""
import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev

# In the folders of what a sweep finished: of a training, of a run that tests one.
TRAINING, RESULT = 'training.json', 'result.json'
CPU, MEMORY = 'cpu_seconds', 'peak_mb'
COST = (CPU, MEMORY)
# What tables show of a result, if any row has it, and its title.
COLUMNS = {
    **{name: name for name in ('AP', 'APr', 'APc', 'APf', 'AP1', 'AP2', 'AP3', 'AP4')},
    'exhaustive_AP': 'exhaustive AP', 'fixed_AP': 'fixed AP', 'fixed_APr': 'fixed APr',
    CPU: 'CPU s', MEMORY: 'peak MB'}

# AP and others in [0, 1], CPU in seconds, memory in MB; None of a group without objects.
Result = Mapping[str, float | None]
Results = Mapping[tuple[str, int], Result]  # by row and seed


def seeds_of(row: str, results: Results) -> list[int]:
    """Seeds of which there is a result of a row."""
    return sorted(seed for name, seed in results if name == row)


def values_of(row: str, name: str, results: Results) -> list[float | None]:
    """A row's values of a column, one for each of its seeds."""
    return [results[row, seed].get(name) for seed in seeds_of(row, results)]


def differences(row: str, base: str, name: str, results: Results) -> list[float | None]:
    """Differences of a row to a base, one for each seed of both.

    Args:
        row: name of the row.
        base: name of the other one.
        name: of the column.
        results: of both.
    """
    pairs = [(results[row, seed].get(name), results[base, seed].get(name))
             for seed in seeds_of(row, results) if (base, seed) in results]
    return [None if None in pair else pair[0] - pair[1] for pair in pairs]


def spread(values: Sequence[float | None], sign: str = '', scale: float = 100,
           digits: int = 1) -> str:
    """Mean ± standard deviation; '–' without values, 'n/a' if one is None.

    Args:
        values: of the seeds; of one alone there is no deviation.
        sign: '+' to show that of a positive mean.
        scale: what values are multiplied with, 100 for percent.
        digits: behind the point.
    """
    if not values:
        return '–'
    if None in values:
        return 'n/a'
    text = f'{scale * mean(values):{sign}.{digits}f}'
    return text if len(values) == 1 else f'{text} ± {scale * stdev(values):.{digits}f}'


def columns_of(results: Results) -> list[str]:
    """The columns that any result has."""
    return [name for name in COLUMNS if any(name in result for result in results.values())]


def format_table(rows: Sequence[str], results: Results) -> str:
    """Two Markdown tables: means and spreads, and differences to the first row.

    Args:
        rows: names, in their order; the first is the base.
        results: of them. A row that lacks a seed that others have says which it has.
    """
    columns = columns_of(results)
    all_seeds = sorted({seed for _, seed in results})
    names = {row: row if seeds_of(row, results) == all_seeds
             else f'{row} (seeds {seeds_of(row, results)})' for row in rows}
    text = _markdown(['row', *(COLUMNS[name] for name in columns)], [
        [names[row], *(spread(values_of(row, name, results), scale=1 if name in COST else 100)
                       for name in columns)] for row in rows])
    if len(rows) > 1:
        columns = [name for name in columns if name not in COST]
        text += f'\nDifference to {rows[0]}, seed by seed:\n\n' + _markdown(
            ['row', *(COLUMNS[name] for name in columns)], [
                [names[row], *(spread(differences(row, rows[0], name, results), sign='+')
                               for name in columns)] for row in rows[1:]])
    return text


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    rule = ['-' * widths[0], *('-' * (width - 1) + ':' for width in widths[1:])]
    return ''.join('| ' + ' | '.join(
        [f'{line[0]:<{widths[0]}}', *(f'{cell:>{width}}' for cell, width in zip(
            line[1:], widths[1:], strict=True))]) + ' |\n' for line in (head, rule, *rows))


def write_results(path: Path, rows: Mapping[str, Mapping[str, object]], results: Results) -> None:
    """Write one line per run, AP in percent; an empty group stays empty.

    Args:
        path: of the CSV.
        rows: what describes each row, in columns of its own before the seed.
        results: of the rows.
    """
    columns = columns_of(results)
    keys = list(dict.fromkeys(key for row in rows.values() for key in row))
    with path.open('w', newline='') as file:
        writer = csv.writer(file, lineterminator='\n')
        writer.writerow([*keys, 'seed', *columns])
        for row, described in rows.items():
            for seed in seeds_of(row, results):
                writer.writerow([*(described.get(key, '') for key in keys), seed, *(
                    _number(results[row, seed].get(name), name) for name in columns)])


def write_summary(path: Path, rows: Mapping[str, Mapping[str, object]], results: Results) -> None:
    """Write one line per row: of each column mean, deviation and difference to the first row.

    Args:
        path: of the CSV.
        rows: as of :func:`write_results`.
        results: of the rows.
    """
    columns = columns_of(results)
    keys = list(dict.fromkeys(key for row in rows.values() for key in row))
    base = next(iter(rows))
    with path.open('w', newline='') as file:
        writer = csv.writer(file, lineterminator='\n')
        writer.writerow([*keys, 'seeds', *(f'{name}{part}' for name in columns for part in (
            '', '_std', '_difference', '_difference_std'))])
        for row, described in rows.items():
            cells = [
                cell for name in columns
                for values in (values_of(row, name, results),
                               differences(row, base, name, results))
                for cell in _mean_and_deviation(values, name)]
            writer.writerow([*(described.get(key, '') for key in keys),
                             len(seeds_of(row, results)), *cells])


def _mean_and_deviation(values: Sequence[float | None], name: str) -> list[str]:
    if not values or None in values:
        return ['', '']
    return [_number(mean(values), name), _number(stdev(values), name) if len(values) > 1 else '']


def _number(value: float | None, name: str) -> str:
    """A cell of a CSV."""
    if value is None:
        return ''
    return f'{value:.2f}' if name in COST else f'{100 * value:.4f}'
