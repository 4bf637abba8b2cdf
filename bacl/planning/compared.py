"""What the comparison of methods found, for the README of a plan."""
import csv
from pathlib import Path

# Below configs/, of tools/benchmarks/compare_methods.py.
COMPARISON = 'comparison/stage2/comparison.csv'
_BESIDE = ('SCE + NorCal', 'BACL')  # what a plan trains


def best_compared(path: Path) -> str:
    """The row with the highest AP, beside what a plan trains; '' if nothing was compared.

    Args:
        path: of the table; it does not have to be there.

    Returns:
        A sentence without its full stop.
    """
    if not path.is_file():
        return ''
    with path.open(newline='', encoding='utf-8') as file:
        ap = {row['row']: float(row['AP']) for row in csv.DictReader(file) if row['AP']}
    if not ap:
        return ''
    best = max(ap, key=ap.get)
    others = ', '.join(f'{name} {ap[name]:.1f}' for name in _BESIDE if name in ap and name != best)
    return (f'of {len(ap)} rows compared on Emoji-LT lvis-like, another data set, {best} has the '
            f'highest AP, {ap[best]:.1f}' + f' ({others})' * bool(others)
            + ': configs/comparison/README.md')
