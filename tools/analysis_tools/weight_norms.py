"""Mean weight norms of classifiers by frequency group, of trainings and of sweeps (Fig. 5)."""
import argparse
import sys
from pathlib import Path

try:
    from bacl.report.weight_norms import find_trainings, format_norms
except ImportError as error:  # names the package and how to get it
    sys.exit(str(error))


def main() -> None:
    """Print the table; an error that the user can cure is one line."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog='Run it where they were trained: paths in their configs start '
        'there.')
    parser.add_argument('folders', nargs='+', metavar='FOLDER', type=Path,
                        help='work_dir of a training or of a sweep')
    try:
        print(format_norms(find_trainings(parser.parse_args().folders)), end='')
    except (ValueError, RuntimeError, OSError) as error:
        sys.exit(f'{type(error).__name__}: {error}')


if __name__ == '__main__':
    main()
