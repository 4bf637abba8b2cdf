"""Write the generated parts of configs: index and results, and the metafiles of mim.

Fills README.md, configs/README.md, bacl/emoji-lt-mini.md, comparison/README.md, the models of every
family's metafile.yml and model-index.yml from the configs, tables.yml (rows, configs, the paper's
numbers), emoji_lt_ablation.csv (measured by emoji_lt_ablation.py), emoji_lt_ablation_*.csv (the
same with other settings for all rows; in bacl/emoji-lt-mini.md alone), and the tables of
compare_methods.py in the folders of comparison.
"""

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

import yaml
from bacl.engine.running.seed_table import Results, spread
from bacl.engine.running.steps import METRICS
from comparison_tables import (
    FOLDER,
    STAGE2,
    format_comparison,
    format_ideas,
    format_short,
    format_trials,
)
from emoji_lt_ablation import (
    CONFIGS,
    all_tables,
    find_config,
    format_report,
    load_tables,
    name_of,
    read_csv,
    twin_of,
)

INDEX, ABLATION = CONFIGS / 'README.md', CONFIGS / 'bacl/emoji-lt-mini.md'
COMPARISON_PAGE, README = CONFIGS / 'comparison/README.md', Path('README.md')
RESULTS = CONFIGS / 'emoji_lt_ablation.csv'
TWINS = 'bacl/emoji-lt-mini.md'
EMOJI_DATASET, LVIS_COLUMNS = 'Emoji-LT mini', ['AP', 'APr', 'APc', 'APf']
DATASETS = {'lvis-v0.5': 'LVIS v0.5', 'lvis-v1': 'LVIS v1', 'coco-lt': 'COCO-LT',
            'emoji-lt-mini': EMOJI_DATASET, 'emoji-lt-smoke': 'Emoji-LT smoke',
            'emoji-lt-lvis-like': 'Emoji-LT lvis-like'}


def trained_whole() -> list[Path]:
    """Return the folders of comparisons whose tables are on their page alone."""
    return sorted(path.parent for path in FOLDER.glob('*/comparison.csv')
                  if path.parent != STAGE2)


def mean_result(row: str | None, results: Results) -> list[str] | None:
    """Return the means over the seeds, in percent as text; None if nothing was measured."""
    runs = [result for (name, _), result in results.items() if name == row]
    if not runs:
        return None
    return [spread([run[m] for run in runs]).split(' ')[0] for m in METRICS]


def read_collections() -> dict[str, dict]:
    """Return what each family says of itself in its metafile, by the name of its folder.

    Raises:
        FileNotFoundError: if a family has no metafile.
    """
    collections = {}
    for folder in sorted({path.parent for path in CONFIGS.glob('[!_]*/*.py')}):
        if (folder / 'plan.json').is_file():  # of somebody's own data, by tools/plan.py
            continue
        path = folder / 'metafile.yml'
        if not path.is_file():
            raise FileNotFoundError(
                f'{path} is missing. Write its Collections by hand, as in configs/bacl; the '
                'models are filled in.')
        (collections[folder.name],) = yaml.safe_load(path.read_text())['Collections']
    return collections


def link(config: str, text: str | None = None) -> str:
    """Return a link from the index to a config."""
    return f'[{text or config}]({find_config(config).relative_to(CONFIGS)})'


def link_up(config: str, text: str) -> str:
    """Return a link to a config from a folder of configs."""
    return f'[{text}](../{find_config(config).relative_to(CONFIGS)})'


def format_families(collections: dict[str, dict]) -> str:
    """Return a Markdown table of the families: folder, number of configs, paper."""
    lines = ['| family | configs | paper |', '|---|---|---|']
    for family, collection in collections.items():
        paper = collection['Paper']
        lines.append(f'| [{collection["Name"]}]({family}/README.md) '
                     f'| {len(list((CONFIGS / family).glob("*.py")))} '
                     f'| [{paper["Title"]}]({paper["URL"]}) |')
    return '\n'.join(lines)


def format_index(tables: list[dict], results: Results) -> str:
    """Return one Markdown table per table of the paper."""
    parts = []
    for table in tables:
        columns = ' / '.join(table.get('columns', LVIS_COLUMNS))
        has_twin = any('emoji_lt' in row for row in table['rows'])
        # The paper's numbers and ours would be compared if they were of one dataset.
        head = ['row', 'config', f'paper: {columns}', 'measured']
        head += [f'[{EMOJI_DATASET}]({TWINS}): AP / APr / APc / APf'] * has_twin
        title = f'{name_of(table)}: {table["title"]}' if table['table'] != '–' \
            else table['title'].capitalize()
        lines = [f'### {title}', '', '| ' + ' | '.join(head) + ' |', '|---' * len(head) + '|']
        for row in table['rows']:
            paper, measured = (' / '.join(f'{value:.1f}' for value in row.get(key, ())) or '–'
                               for key in ('paper', 'measured'))
            cells = [row['row'], link(row['config']), paper, measured]
            if has_twin:
                twin, means = row.get('emoji_lt'), mean_result(twin_of(row), results)
                values = '–' if means is None else ' / '.join(means)
                cells.append(link(twin, values) if twin else '–')
            lines.append('| ' + ' | '.join(cells) + ' |')
        parts.append('\n'.join(lines))
    return '\n\n'.join(parts)


def format_metafile(family: str, collection: dict, results: Results) -> str:
    """Return the metafile of a family: every config, with results where they were measured."""
    models = []
    for path in sorted((CONFIGS / family).glob('*.py')):
        name = path.stem
        dataset = next(title for part, title in DATASETS.items() if part in name)
        model = {'Name': name, 'In Collection': collection['Name'], 'Config': str(path),
                 'Metadata': {'Training Data': dataset}}
        means = mean_result(name, results)
        if means:
            values = {f'box {m}': float(v) for m, v in zip(METRICS, means, strict=True)
                      if v != 'n/a'}
            model['Results'] = [{'Task': 'Object Detection', 'Dataset': dataset, 'Metrics': values}]
        models.append(model)
    text = yaml.safe_dump({'Collections': [collection], 'Models': models}, sort_keys=False,
                          allow_unicode=True, width=100)
    return '# Collections by hand, models by tools/benchmarks/write_index.py.\n' + text


def format_ablations(tables: list[dict]) -> str:
    """Return the tables of each file of the ablation, under the settings that all rows have."""
    parts = []
    for path in (RESULTS, *sorted(CONFIGS.glob(f'{RESULTS.stem}_*.csv'))):
        results, shared = read_csv(path)
        words = ', '.join(f'`{key}={value}`' for key, value in shared.items())
        parts += [f'With {words} ([single runs](../{path.name})):'] if shared else []
        parts.append(format_report(tables, results))
    return '\n\n'.join(parts)


def fill(path: Path, **contents: str) -> str:
    """Return the text of a file with new generated parts, by the names in the marks around them.

    Raises:
        ValueError: if the file has no such marks.
    """
    text = path.read_text()
    for name, content in contents.items():
        begin = f'<!-- {name}: written by tools/benchmarks/write_index.py -->'
        end = f'<!-- {name} end -->'
        before, _, rest = text.partition(begin)
        _, has_marks, after = rest.partition(end)
        if not has_marks:
            raise ValueError(f'{path} has no lines {begin!r} and {end!r}.')
        text = f'{before}{begin}\n\n{content.strip()}\n\n{end}{after}'
    return text


def main(argv: Iterable[str] | None = None) -> None:
    """Write the files, or tell whether they are up to date."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--check', action='store_true', help='write nothing; fail if out of date')
    args = parser.parse_args(argv)
    results, _ = read_csv(RESULTS)
    collections = read_collections()
    metafiles = {CONFIGS / family / 'metafile.yml': format_metafile(family, collection, results)
                 for family, collection in collections.items()}
    contents = {
        INDEX: fill(INDEX, families=format_families(collections),
                    comparison=format_comparison(STAGE2, all_tables(), link),
                    index=format_index(all_tables(), results)),
        README: fill(README, comparison=format_short(STAGE2)),
        COMPARISON_PAGE: fill(COMPARISON_PAGE, ideas=format_ideas(STAGE2),
                              trials=format_trials(STAGE2), **{
                                  folder.name: format_comparison(folder, all_tables(), link_up)
                                  for folder in trained_whole()}),
        ABLATION: fill(ABLATION, results=format_ablations(load_tables())),
        **metafiles,
        Path('model-index.yml'): 'Import:\n' + ''.join(f'  - {path}\n' for path in metafiles)}
    stale = [path for path, text in contents.items()
             if not path.is_file() or path.read_text() != text]
    if args.check:
        if stale:
            sys.exit(f'Out of date: {", ".join(map(str, stale))}. '
                     'Run: python tools/benchmarks/write_index.py')
        return
    for path in stale:
        path.write_text(contents[path])
        print(f'written: {path}')


if __name__ == '__main__':
    try:
        main()
    except (FileNotFoundError, ValueError) as error:
        sys.exit(str(error))
