"""Run the rows of the paper's tables on Emoji-LT mini over a feature bank, with several seeds.

The rows, their configs and settings are those of configs/tables.yml; those of a single stage are
left out. All runs start from the stage 1 of the bank; the seeds are those of stage 2. Finished runs
are reused: run the same command again to go on. Besides the tables of a sweep (tools/sweep.py) it
writes tables.md, with the paper's numbers. Another optimizer or schedule for all rows is a matter
of --cfg-options, with a --work-dir of its own.
"""

import argparse
import csv
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from bacl.engine.running.seed_table import (
    COLUMNS,
    COST,
    Results,
    columns_of,
    differences,
    seeds_of,
    spread,
    values_of,
)
from bacl.engine.running.settings import Settings, parse_settings
from bacl.feature_bank.sweep import Row, add_arguments, run_rows
from mmengine.config import Config

CONFIGS = Path('configs')
MINI = 'faster-rcnn_effnet-lite0_emoji-lt-mini'
# Every part of BACL is judged against it: stage 2 with the loss of stage 1, for as long.
BASELINE = f'{MINI}_stage2-bce'
# What every table begins with.
REFERENCES = ({'row': 'BCE*, the baseline', 'emoji_lt': BASELINE},
              {'row': 'SCE with NorCal', 'emoji_lt': f'{MINI}_stage2-sce-norcal'})


def parse_args(argv: Iterable[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--tables', nargs='+', metavar='NAME',
                        help="of tables.yml, e.g. III X 'Fig. 4' (default: all with Emoji-LT rows)")
    parser.add_argument('--cfg-options', nargs='+', default=[], metavar='KEY=VALUE',
                        help='settings of all rows, e.g. optim_wrapper.optimizer.lr=0.001')
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


def row_name(config: str, settings: Mapping[str, Any]) -> str:
    """Return the name of a row in results: its config, and what it changes.

    Args:
        config: name of it.
        settings: values or, as in a CSV, what is written of them.
    """
    return ' '.join([config, *(f'{key}={settings[key]}' for key in sorted(settings))])


def twin_of(row: dict) -> str | None:
    """Return the name in results of the row on Emoji-LT; None if it has none."""
    if 'emoji_lt' not in row:
        return None
    return row_name(row['emoji_lt'], row.get('emoji_lt_settings', {}))


def rows_of(tables: Iterable[dict], shared: Settings | None = None) -> list[Row]:
    """Return the stages 2 to run, the baseline first, each once.

    Args:
        tables: of :func:`load_tables`.
        shared: settings of all rows.

    Raises:
        ValueError: if a shared setting is one of those that a row is about.
    """
    rows = {}
    for row in (*REFERENCES, *(row for table in tables for row in table['rows'])):
        own, path = row.get('emoji_lt_settings', {}), str(find_config(row['emoji_lt']))
        for key in own.keys() & (shared or {}):
            raise ValueError(f'--cfg-options expects settings that no row changes, got {key!r}, '
                             f'which {row["row"]!r} does.')
        rows[twin_of(row)] = Row(twin_of(row), path, {**own, **(shared or {})})
    is_stage2 = {path: bool(Config.fromfile(path).get('stage1_config'))
                 for path in {row.config for row in rows.values()}}
    return [row for row in rows.values() if is_stage2[row.config]]


def format_table(table: dict, results: Results) -> str:
    """Return a Markdown table: mean and spread over the seeds, and the paper's numbers.

    It begins with the references. The gain is that over the baseline of the same seed.
    Rows of which nothing was measured are left out; one that lacks a seed says which it has.
    """
    columns = [name for name in columns_of(results) if name not in COST]
    lines = [
        f'**{name_of(table)}**: {table["title"]}', '',
        f'| row | {" | ".join(COLUMNS[name] for name in columns)} | AP - BCE* | APr - BCE* '
        '| paper, LVIS: AP / APr / APc / APf |',
        '|---' * (len(columns) + 4) + '|']
    all_seeds = seeds_of(BASELINE, results)
    results = {key: result for key, result in results.items() if key[1] in all_seeds}
    own = {twin_of(row) for row in table['rows']}
    for row in (*(row for row in REFERENCES if twin_of(row) not in own), *table['rows']):
        twin = twin_of(row)
        seeds = seeds_of(twin, results)
        if not seeds:
            continue
        cells = [spread(values_of(twin, name, results)) for name in columns]
        cells += [spread(differences(twin, BASELINE, metric, results), sign='+')
                  for metric in ('AP', 'APr')]
        cells.append(' / '.join(map(str, row['paper'])) if 'paper' in row else '–')
        name = row['row'] if seeds == all_seeds else f'{row["row"]} (seeds {seeds})'
        lines.append(f'| {name} | ' + ' | '.join(cells) + ' |')
    return '\n'.join(lines)


def name_of(table: dict) -> str:
    """Return 'Table III' or 'Fig. 4'."""
    return table['table'] if table['table'].startswith('Fig') else f'Table {table["table"]}'


def format_report(tables: list[dict], results: Results) -> str:
    """Return the tables of which at least two rows were measured, as Markdown."""
    measured = {name for name, _ in results}
    return '\n\n'.join(
        format_table(table, results) for table in tables
        if len(measured & {twin_of(row) for row in table['rows']}) > 1) + '\n'


def read_csv(path: Path) -> tuple[Results, dict[str, str]]:
    """Return the results of a CSV of a sweep by :func:`row_name`, and settings that all rows have.

    The former are without the latter.
    """
    with path.open(newline='') as file:
        lines = list(csv.DictReader(file))
    keys = [key for key in (lines[0] if lines else ()) if key not in ('config', 'seed', *COLUMNS)]
    shared = {key: lines[0][key] for key in keys
              if lines[0][key] and len({line[key] for line in lines}) == 1}
    results = {}
    for line in lines:
        own = {key: line[key] for key in keys if line[key] and key not in shared}
        results[row_name(line['config'], own), int(line['seed'])] = {
            name: _from_cell(line[name], name) for name in COLUMNS if name in line}
    return results, shared


def _from_cell(text: str, name: str) -> float | None:
    if not text:
        return None
    return float(text) if name in COST else float(text) / 100


def main() -> None:
    """Run, and write the tables; an error that the user can cure is one line."""
    args = parse_args()
    try:
        tables = load_tables(args.tables)
        shared = parse_settings(args.cfg_options, '--cfg-options')
        sweep, lack = run_rows(rows_of(tables, shared), args)
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
