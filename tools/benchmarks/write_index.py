"""Write the generated parts of configs/bacl: index and results, and the metafile of mim.

Fills README.md and metafile.yml from tables.yml (rows, configs, the paper's numbers) and
emoji_lt_ablation.csv (measured by emoji_lt_ablation.py).
"""

import argparse
import re
import sys

import yaml
from emoji_lt_ablation import (
    CONFIGS,
    METRICS,
    Results,
    all_tables,
    format_report,
    load_tables,
    name_of,
    read_csv,
    spread,
)

README, METAFILE = CONFIGS / 'README.md', CONFIGS / 'metafile.yml'
RESULTS = CONFIGS / 'emoji_lt_ablation.csv'
EMOJI_DATASET, LVIS_COLUMNS = 'Emoji-LT mini', ['AP', 'APr', 'APc', 'APf']
COLLECTION = {
    'Name': 'BACL',
    'Metadata': {
        'Training Data': ['LVIS v0.5', 'LVIS v1', 'COCO-LT', EMOJI_DATASET],
        'Training Techniques': ['SGD with Momentum', 'AdamW', 'Weight Decay'],
        'Architecture': ['Faster R-CNN', 'Cascade R-CNN', 'Mask R-CNN', 'ResNet',
                         'Swin Transformer', 'EfficientNet-Lite', 'FPN'],
    },
    'Paper': {
        'URL': 'https://arxiv.org/abs/2308.02213',
        'Title': 'Balanced Classification: A Unified Framework for Long-Tailed Object Detection',
    },
    'README': str(README),
}
DATASETS = {'lvis-v0.5': 'LVIS v0.5', 'lvis-v1': 'LVIS v1', 'coco-lt': 'COCO-LT',
            'emoji-lt-mini': EMOJI_DATASET, 'emoji-lt-smoke': 'Emoji-LT smoke'}


def mean_result(config: str | None, results: Results) -> list[str] | None:
    """Return the means over the seeds, in percent as text; None if nothing was measured."""
    runs = [result for (name, _), result in results.items() if name == config]
    if not runs:
        return None
    return [spread([run[m] for run in runs]).split(' ')[0] for m in METRICS]


def link(config: str) -> str:
    """Return a link to a config file beside the README."""
    return f'[{config}]({config}.py)'


def format_index(tables: list[dict], results: Results) -> str:
    """Return one Markdown table per table of the paper."""
    parts = []
    for table in tables:
        columns = ' / '.join(table.get('columns', LVIS_COLUMNS))
        has_twin = any('emoji_lt' in row for row in table['rows'])
        # The paper's numbers and ours would be compared if they were of one dataset.
        head = ['row', 'config', f'paper: {columns}', 'measured']
        head += [f'[{EMOJI_DATASET}](#emoji-lt-mini): AP / APr / APc / APf'] * has_twin
        title = f'{name_of(table)}: {table["title"]}' if table['table'] != '–' \
            else table['title'].capitalize()
        lines = [f'### {title}', '', '| ' + ' | '.join(head) + ' |', '|---' * len(head) + '|']
        for row in table['rows']:
            paper, measured = (' / '.join(f'{value:.1f}' for value in row.get(key, ())) or '–'
                               for key in ('paper', 'measured'))
            cells = [row['row'], link(row['config']), paper, measured]
            if has_twin:
                twin, means = row.get('emoji_lt'), mean_result(row.get('emoji_lt'), results)
                values = '–' if means is None else ' / '.join(means)
                cells.append(f'[{values}]({twin}.py)' if twin else '–')
            lines.append('| ' + ' | '.join(cells) + ' |')
        parts.append('\n'.join(lines))
    return '\n\n'.join(parts)


def format_metafile(results: Results) -> str:
    """Return the metafile that mim reads: every config, with results where they were measured."""
    models = []
    for path in sorted(CONFIGS.glob('*.py')):
        name = path.stem
        dataset = next(title for part, title in DATASETS.items() if part in name)
        model = {'Name': name, 'In Collection': COLLECTION['Name'], 'Config': str(path),
                 'Metadata': {'Training Data': dataset}}
        means = mean_result(name, results)
        if means:
            values = {f'box {m}': float(v) for m, v in zip(METRICS, means, strict=True)
                      if v != 'n/a'}
            model['Results'] = [{'Task': 'Object Detection', 'Dataset': dataset, 'Metrics': values}]
        models.append(model)
    text = yaml.safe_dump({'Collections': [COLLECTION], 'Models': models}, sort_keys=False,
                          allow_unicode=True, width=100)
    return '# Written by tools/benchmarks/write_index.py.\n' + text


def fill(text: str, name: str, content: str) -> str:
    """Replace what stands between the marks of a generated part.

    Raises:
        ValueError: if ``text`` has no such marks.
    """
    begin = f'<!-- {name}: written by tools/benchmarks/write_index.py -->'
    end = f'<!-- {name} end -->'
    pattern = re.compile(f'{re.escape(begin)}.*?{re.escape(end)}', re.DOTALL)
    if not pattern.search(text):
        raise ValueError(f'{README} has no lines {begin!r} and {end!r}.')
    return pattern.sub(lambda match: f'{begin}\n\n{content.strip()}\n\n{end}', text)


def main() -> None:
    """Write both files, or tell whether they are up to date."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--check', action='store_true', help='write nothing; fail if out of date')
    args = parser.parse_args()
    results = read_csv(RESULTS)
    readme = fill(README.read_text(), 'index', format_index(all_tables(), results))
    readme = fill(readme, 'results', format_report(load_tables(), results))
    contents = {README: readme, METAFILE: format_metafile(results)}
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
    main()
