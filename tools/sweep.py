"""Train and test a stage 2 over a feature bank with many settings, or many configs, and seeds.

Rows are all configs with all settings; the first one is what the others are compared with.
Finished runs are reused, also by another sweep in the same folder.
"""
import argparse
import sys
from collections.abc import Iterable

from bacl.engine.running.settings import combine
from bacl.feature_bank.sweep import add_arguments, make_rows, run_rows


def parse_args(argv: Iterable[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', nargs='+', help='configs of stage 2 on the stage 1 of the bank')
    parser.add_argument('--set', nargs='+', action='extend', default=[], metavar='KEY=V1,V2',
                        help='values to try, in all combinations; a list is [1,2]')
    parser.add_argument('--list', nargs='+', action='extend', default=[], metavar='SETTING',
                        help='settings to try one by one, each "KEY=VALUE KEY=VALUE", or "" for '
                        'the config as it is')
    add_arguments(parser, 'work_dirs/sweep')
    return parser.parse_args(argv)


def main() -> None:
    """Run; an error that the user can cure is one line."""
    args = parse_args()
    try:
        _, lack = run_rows(make_rows(args.config, combine(args.list, args.set)), args)
    except (ValueError, RuntimeError, OSError) as error:
        sys.exit(f'{type(error).__name__}: {error}')
    except KeyboardInterrupt:
        sys.exit('Interrupted.')
    sys.exit(lack)


if __name__ == '__main__':
    main()
