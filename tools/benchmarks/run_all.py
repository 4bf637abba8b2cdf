"""Run all benchmarks, each in a process of its own, and write one table."""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from reporting import format_table, is_met

FOLDER = Path(__file__).parent
BENCHMARKS = ('training_step', 'classifier_step', 'method_steps', 'communication', 'nms',
              'inference', 'evaluation', 'data_loading', 'feature_bank')


def parse_args(argv: Iterable[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--out', type=Path, default=Path('work_dirs/benchmarks.md'),
                        help='file for the table')
    parser.add_argument('--only', nargs='+', choices=BENCHMARKS, default=BENCHMARKS)
    parser.add_argument('--quick', action='store_true',
                        help='small sizes: to see that everything runs')
    return parser.parse_args(argv)


def run_benchmark(name: str, quick: bool) -> dict:
    """Return what a benchmark measured, with its environment; ends with its error if it fails."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, 'rows.json')
        subprocess.run([sys.executable, str(FOLDER / f'{name}.py'), '--json', str(path),
                        *(['--quick'] if quick else [])], check=True)
        return json.loads(path.read_text())


def main(argv: Iterable[str] | None = None) -> None:
    """Run, print and write; the exit status says whether all targets were met."""
    args = parse_args(argv)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    sections, missed = [], []
    for name in args.only:
        result = run_benchmark(name, args.quick)
        missed += [entry['name'] for entry in result['rows']
                   if entry['target'] and not is_met(entry['value'], entry['target'])]
        sections.append(
            f'## {name}\n\n{result["environment"]}\n\n{format_table(result["rows"])}\n')
        # A later benchmark that fails leaves the table of those before.
        args.out.write_text('# Benchmarks\n\n' + '\n'.join(sections))
    print(f'Written to {args.out}. Targets missed: {", ".join(missed) or "none"}.')
    if missed and not args.quick:
        sys.exit(1)


if __name__ == '__main__':
    main()
