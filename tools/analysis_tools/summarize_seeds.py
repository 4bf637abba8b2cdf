"""Mean and spread over seeds of what tools/quickstart.py measured, as a Markdown table."""

import argparse
import json
from pathlib import Path
from statistics import mean, stdev

METRICS = ('AP', 'APr', 'APc', 'APf')
ROWS = ('stage 1', 'baseline', 'BACL', 'gain')


def format_row(name: str, results: list[dict]) -> str:
    """Return one row in percent: mean, standard deviation and the single values.

    Args:
        name: entry of each results.json.
        results: contents of two or more results.json.
    """
    cells = []
    for metric in METRICS:
        values = [100 * result[name][metric] for result in results]
        singles = ', '.join(f'{value:.1f}' for value in values)
        cells.append(f'{mean(values):.1f} ± {stdev(values):.1f} ({singles})')
    return f'| {name} | ' + ' | '.join(cells) + ' |'


def summarize(paths: list[Path]) -> str:
    """Return the table over the results.json files ``paths``, in order of their seeds.

    Raises:
        ValueError: if there are fewer than two, or they are of different presets or stacks.
    """
    results = sorted((json.loads(path.read_text()) for path in paths),
                     key=lambda result: result['seed'])
    kinds = {(result['preset'], result['mm']) for result in results}
    if len(results) < 2 or len(kinds) > 1:
        raise ValueError('summarize_seeds.py expects two or more results of one preset and one mm '
                         f'stack, got {len(results)} of {sorted(kinds)}.')
    seeds = ', '.join(str(result['seed']) for result in results)
    return '\n'.join([
        f'| seeds {seeds} | ' + ' | '.join(METRICS) + ' |',
        '|---|' + '---|' * len(METRICS),
        *(format_row(name, results) for name in ROWS)])


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('folder', type=Path, help='holds seed-*/results.json')
    print(summarize(list(parser.parse_args().folder.glob('seed-*/results.json'))))
