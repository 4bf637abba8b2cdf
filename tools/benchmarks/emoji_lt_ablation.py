"""Run the rows of the paper's tables on Emoji-LT mini over a feature bank, with several seeds.

The rows and their configs are those of configs/tables.yml; those of a single stage are left out.
All runs start from the stage 1 of the bank; the seeds are those of stage 2. Finished runs are
reused: run the same command again to go on. Besides the tables of a sweep (tools/sweep.py) it
writes tables.md, with the paper's numbers.
"""

import argparse
import csv
import sys
from collections.abc import Iterable
from pathlib import Path

import yaml
from bacl.engine.running.seed_table import (
    COLUMNS,
    CPU,
    Results,
    differences,
    seeds_of,
    spread,
    values_of,
)
from bacl.engine.running.steps import METRICS
from bacl.feature_bank.sweep import Row, add_arguments, run_rows
from mmengine.config import Config

CONFIGS = Path('configs')
# Every part of BACL is judged against it: stage 2 with the loss of stage 1, for as long.
BASELINE = 'faster-rcnn_effnet-lite0_emoji-lt-mini_stage2-bce'


def parse_args(argv: Iterable[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--tables', nargs='+', metavar='NAME',
                        help="of tables.yml, e.g. III X 'Fig. 4' (default: all with Emoji-LT rows)")
    add_arguments(parser, 'work_dirs/emoji_lt_ablation')
    return parser.parse_args(argv)


def all_tables() -> list[dict]:
    """Return the tables of the paper.

    Raises:
        FileNotFoundError: if the current folder is not the root of the project.
    """
    return yaml.safe_load((CONFIGS / 'tables.yml').read_text())


def find_config(name: str) -> Path:
    """Return the file of a config, whose name no other family of configs has.

    Raises:
        FileNotFoundError: if there is no such config.
    """
    path = next(CONFIGS.glob(f'*/{name}.py'), None)
    if path is None:
        raise FileNotFoundError(f'No family in {CONFIGS} has {name}.py. See {CONFIGS}/tables.yml.')
    return path


def load_tables(names: Iterable[str] | None = None) -> list[dict]:
    """Return the tables that have rows on Emoji-LT, with these rows only.

    Args:
        names: of the wanted tables; None wants all.

    Raises:
        ValueError: if there is no such table.
    """
    tables = []
    for table in all_tables():
        rows = [row for row in table['rows'] if 'emoji_lt' in row]
        # A single row, such as the baseline in a table of other methods, makes no comparison.
        if len(rows) > 1:
            tables.append(dict(table, rows=rows))
    known = [table['table'] for table in tables]
    for name in names or ():
        if name not in known:
            raise ValueError(f'--tables expects some of {known}, got {name!r}.')
    return [table for table in tables if names is None or table['table'] in names]


def rows_of(tables: Iterable[dict]) -> list[Row]:
    """Return the configs of stage 2 to run, the baseline first, each once."""
    names = dict.fromkeys([BASELINE] + [row['emoji_lt'] for table in tables
                                        for row in table['rows']])
    configs = {name: str(find_config(name)) for name in names}
    return [Row(name, config) for name, config in configs.items()
            if Config.fromfile(config).get('stage1_config')]


def format_table(table: dict, results: Results) -> str:
    """Return a Markdown table: mean and spread over the seeds, and the paper's numbers.

    The gain is that over the baseline of the same seed.
    Rows of which nothing was measured are left out; one that lacks a seed says which it has.
    """
    lines = [
        f'**{name_of(table)}**: {table["title"]}', '',
        '| row | AP | APr | APc | APf | AP - BCE* | APr - BCE* '
        '| paper, LVIS: AP / APr / APc / APf |',
        '|---|---|---|---|---|---|---|---|']
    all_seeds = seeds_of(BASELINE, results)
    results = {key: result for key, result in results.items() if key[1] in all_seeds}
    for row in table['rows']:
        config = row['emoji_lt']
        seeds = seeds_of(config, results)
        if not seeds:
            continue
        cells = [spread(values_of(config, metric, results)) for metric in METRICS]
        cells += [spread(differences(config, BASELINE, metric, results), sign='+')
                  for metric in ('AP', 'APr')]
        cells.append(' / '.join(map(str, row['paper'])) if 'paper' in row else '–')
        name = row['row'] if seeds == all_seeds else f'{row["row"]} (seeds {seeds})'
        lines.append(f'| {name} | ' + ' | '.join(cells) + ' |')
    return '\n'.join(lines)


def name_of(table: dict) -> str:
    """Return 'Table III' or 'Fig. 4'."""
    return table['table'] if table['table'].startswith('Fig') else f'Table {table["table"]}'


def format_report(tables: list[dict], results: Results) -> str:
    """Return the baseline and the tables of which another row was measured, as Markdown."""
    baseline = next(dict(table, title='the baseline of all rows',
                         rows=[dict(row, row='stage 2 with the loss of stage 1 (BCE*)')])
                    for table in all_tables() for row in table['rows']
                    if row.get('emoji_lt') == BASELINE)
    tables = [table for table in tables if any(
        row['emoji_lt'] != BASELINE and seeds_of(row['emoji_lt'], results)
        for row in table['rows'])]
    return '\n\n'.join(format_table(table, results) for table in (baseline, *tables)) + '\n'


def read_csv(path: Path) -> Results:
    """Return the results of a CSV of a sweep over configs."""
    with path.open(newline='') as file:
        return {(row['config'], int(row['seed'])): {
            name: _from_cell(row[name], name) for name in COLUMNS if name in row}
            for row in csv.DictReader(file)}


def _from_cell(text: str, name: str) -> float | None:
    if not text:
        return None
    return float(text) if name == CPU else float(text) / 100


def main() -> None:
    """Run, and write the tables; an error that the user can cure is one line."""
    args = parse_args()
    try:
        tables = load_tables(args.tables)
        sweep, lack = run_rows(rows_of(tables), args)
    except (ValueError, RuntimeError, OSError) as error:
        sys.exit(f'{type(error).__name__}: {error}')
    except KeyboardInterrupt:
        sys.exit('Interrupted.')
    text = format_report(tables, sweep.results)
    (args.work_dir / 'tables.md').write_text(text)
    print(f'\nEmoji-LT mini, box AP in percent\n\n{text}\n{args.work_dir}/tables.md')
    sys.exit(lack)


if __name__ == '__main__':
    main()
