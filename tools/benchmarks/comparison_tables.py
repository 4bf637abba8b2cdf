"""The tables of configs/comparison in Markdown, as compare_methods.py measured them."""
from collections.abc import Callable
from math import isnan
from pathlib import Path

import pandas as pd
from bacl.comparison import Comparison, rank_correlation, read_comparison
from bacl.comparison.plan import RATE
from bacl.engine.running.seed_table import CPU, MEMORY

FOLDER = Path('configs/comparison')
STAGE2 = FOLDER / 'stage2'
_METRICS = ('AP', 'APr', 'APc', 'APf', 'fixed_AP', 'fixed_APr', 'exhaustive_AP')
_COST = {CPU: ('CPU s', 0), MEMORY: ('peak MB', 0), 'state_mb': ('state MB', 1)}  # title, digits
_SHORT = ('AP', 'APr', 'APf', 'fixed_AP', 'fixed_APr', 'exhaustive_AP')


def read_methods(folder: Path) -> Comparison:
    """Return what is compared.

    Args:
        folder: of the comparison.
    """
    return read_comparison(folder / 'methods.yml')


def read_rows(folder: Path) -> pd.DataFrame:
    """Return the rows of a comparison.

    Args:
        folder: of the comparison.

    Raises:
        ValueError: if a method has no row, or one of another config: another comparison.
    """
    frame = pd.read_csv(folder / 'comparison.csv', dtype={'calibrator': str, 'error': str}).fillna(
        {'calibrator': '', 'error': ''})
    configs = {(method.name, method.config) for method in read_methods(folder).methods}
    found = set(zip(frame['method'], frame['config'], strict=True))
    if configs != found:
        raise ValueError(f'{folder}/comparison.csv expects the methods of methods.yml with their '
                         f'configs; they differ in {sorted(configs ^ found)}. Run '
                         f'tools/benchmarks/compare_methods.py --comparison {folder}, and copy its '
                         'tables.')
    return frame


def format_comparison(folder: Path, tables: list[dict],
                      link: Callable[[str, str], str]) -> str:
    """Return a Markdown table of all methods compared, the best by AP first, and correlations.

    Args:
        folder: of the comparison.
        tables: of the paper.
        link: from the name of a config and a text to a link.
    """
    frame, comparison = read_rows(folder), read_methods(folder)
    paper = {row['row']: row['paper'] for table in tables if table['table'] == 'XIII'
             for row in table['rows'] if 'paper' in row}
    names = {method.name: method.paper for method in comparison.methods}
    baseline, reference = (_escaped(name) for name in (comparison.baseline, comparison.reference))
    cost = {key: column for key, column in _COST.items() if frame[key].notna().any()}
    columns = ['row', *map(_title, _METRICS), 'ECE', *(title for title, _ in cost.values()),
               f'AP over {baseline}', f'APr over {baseline}', f'AP over {reference}', 'seeds']
    columns += ['paper, LVIS v1: AP / APr'] if any(names.values()) else []
    lines = [f'| {" | ".join(columns)} |', '|---' * len(columns) + '|']
    for row in frame.to_dict('records'):
        name = link(row['config'], _escaped(row['row']))
        if row['error']:
            name += f' (failed: {row["error"]})'
        elif not row['seeds']:
            name += ' (not run)'
        cells = [name, *(_spread(row, metric) for metric in (*_METRICS, 'calibration_error'))]
        cells += [_number(row[key], digits) for key, (_, digits) in cost.items()]
        cells += [_gain(row, key, frame['seeds'].max()) for key in (
            'AP_over_baseline', 'APr_over_baseline', 'AP_over_reference')]
        cells.append(str(row['seeds']))
        if any(names.values()):
            numbers = None if row['calibrator'] else paper.get(
                f'LVIS v1, R50, {names[row["method"]]}')
            cells.append(' / '.join(map(str, numbers[:2])) if numbers else '–')
        lines.append(f'| {" | ".join(cells)} |')
    return '\n'.join([*lines, '', *_correlations(frame[frame['calibrator'] == ''], paper, names)])


def format_short(folder: Path) -> str:
    """Return a Markdown table of the reference, the best, and what is plain.

    The best are three by AP and three by fixed AP, and four by AP that are not calibrated.

    The plain methods are those of the paper, each with the best of its calibrators.

    Args:
        folder: of the comparison.
    """
    frame, comparison = read_rows(folder), read_methods(folder)
    shown = {comparison.reference, *frame.nlargest(3, 'AP')['row'],
             *frame.nlargest(3, 'fixed_AP')['row'],
             *frame[frame['calibrator'] == ''].nlargest(4, 'AP')['row']}
    for method in comparison.methods:
        if method.paper and method.name == method.plain:
            rows = frame[frame['method'] == method.name]  # sorted by AP
            shown |= {method.name, *rows[rows['calibrator'] != '']['row'][:1]}
    lines = [f'| row | {" | ".join(map(_title, _SHORT))} |', '|---' * (len(_SHORT) + 1) + '|']
    lines += [f'| {_escaped(row["row"])} | '
              f'{" | ".join(_spread(row, metric) for metric in _SHORT)} |'
              for row in frame[frame['row'].isin(shown)].to_dict('records')]
    return '\n'.join(lines)


def format_ideas(folder: Path) -> str:
    """Return a Markdown table of the gains of each kind of idea over what is plain.

    Methods are compared with the plain one that trains the same kind of classifier, calibrated rows
    with that one calibrated; the plain ones with themselves before calibration.

    Args:
        folder: of the comparison.
    """
    rows = read_rows(folder).set_index('row')
    gains: dict[str, list[pd.Series]] = {}
    for name, row in rows.iterrows():
        is_plain, calibrator = row['method'] == row['plain'], row['calibrator']
        base = row['plain']
        if calibrator and not is_plain:
            base = f'{base} + {calibrator}'
        if name != base and base in rows.index:
            title = f'{row["idea"]}{", calibrated" * bool(calibrator)}'
            gains.setdefault(title, []).append(
                (row[list(_SHORT)] - rows.loc[base, list(_SHORT)]).astype(float))
    lines = [f'| idea | rows | {" | ".join(map(_title, _SHORT))} |',
             '|---' * (len(_SHORT) + 2) + '|']
    for title, parts in sorted(gains.items(), key=lambda item: ('calibrated' in item[0], item[0])):
        part = pd.DataFrame(parts).dropna()
        if part.empty:
            continue
        cells = [f'{part[metric].median():+.1f} ({part[metric].min():+.1f} to '
                 f'{part[metric].max():+.1f})' if len(part) > 1 else f'{part[metric].mean():+.1f}'
                 for metric in _SHORT]
        lines.append(f'| {title} | {len(part)} | {" | ".join(cells)} |')
    return '\n'.join(lines)


def format_trials(folder: Path) -> str:
    """Return a Markdown table of what tuning tried for each method.

    Args:
        folder: of the comparison.
    """
    trials = pd.read_csv(folder / 'trials.csv')
    lines = ['| method | tried: AP on held-out images |', '|---|---|']
    for method, part in trials.groupby('method', sort=False):
        cells = []
        for row in part.to_dict('records'):
            words = ', '.join(f'{key.rpartition(".")[2]} {value}' for key, _, value in (
                setting.partition('=') for setting in row['settings'].split(' ')))
            ap = row['held-out AP']
            cells.append(f'{words}: ' + ('failed' if isnan(ap) else f'{ap:.1f}'))
        lines.append(f'| {_escaped(method)} | {"; ".join(cells)} |')
    return '\n'.join([*lines, '', *_edges(trials)])


def _edges(trials: pd.DataFrame) -> list[str]:
    """Lines that name the methods whose best learning rate is the lowest or highest of all."""
    plain = trials[~trials['settings'].str.contains('calibrator')].copy()
    plain['rate'] = plain['settings'].str.extract(rf'{RATE}=(\S+)')[0].astype(float)
    best = plain.loc[plain.groupby('method', sort=False)['held-out AP'].idxmax()]
    return [f'Best at the {word} learning rate of the ladder: {_escaped("; ".join(names))}.'
            for word, edge in (('lowest', plain['rate'].min()), ('highest', plain['rate'].max()))
            if (names := list(best.loc[best['rate'] == edge, 'method']))]


def _correlations(frame: pd.DataFrame, paper: dict[str, list[float]],
                  names: dict[str, str | None]) -> list[str]:
    """Lines on how the order of methods agrees with that of the paper's Table XIII."""
    lines = ['| order of methods, Kendall\'s tau | AP | APr | fixed AP | methods |',
             '|---|---|---|---|---|']
    for version in ('LVIS v0.5', 'LVIS v1'):
        rows = [(row, paper[key]) for row in frame.to_dict('records') if not isnan(row['AP'])
                and (key := f'{version}, R50, {names[row["method"]]}') in paper]
        if len(rows) < 3:
            continue
        cells = []
        for metric, place in (('AP', 0), ('APr', 1), ('fixed_AP', 0)):
            found = rank_correlation([row[metric] for row, _ in rows],
                                     [numbers[place] for _, numbers in rows])
            cells.append(f'{found["tau"]:.2f} ({found["low"]:.2f} to {found["high"]:.2f})')
        lines.append(f'| with {version}, R50 | {" | ".join(cells)} | {len(rows)} |')
    return lines if len(lines) > 2 else []


def _escaped(text: str) -> str:
    return text.replace('*', '\\*')


def _title(metric: str) -> str:
    return metric.replace('_', ' ')


def _number(value: float, digits: int) -> str:
    return 'n/a' if isnan(value) else f'{value:.{digits}f}'


def _spread(row: dict, name: str) -> str:
    deviation = row[f'{name}_std']
    text = _number(row[name], 1)
    return text if isnan(deviation) else f'{text} ± {deviation:.1f}'


def _gain(row: dict, name: str, num_seeds: int) -> str:
    """A difference with its interval, in bold if that is beyond 0 and knows the luck of seeds."""
    if isnan(row[name]):
        return '–'
    low, high = row[f'{name}_low'], row[f'{name}_high']
    gain = f'{row[name]:+.1f}'
    is_clear = num_seeds > 1 and (low > 0 or high < 0)
    return f'{f"**{gain}**" if is_clear else gain} ({low:+.1f} to {high:+.1f})'
