"""Run the rows of the paper's tables on Emoji-LT mini, over several seeds.

The rows and their configs are those of configs/tables.yml. All stage-2 runs of a seed start
from one stage-1 checkpoint. Finished runs are reused, interrupted ones resumed: run the same
command again to go on. Writes results.csv (a line per run) and tables.md (mean and spread over the
seeds).
"""

import argparse
import csv
import os
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import mean, stdev

import yaml
from bacl.engine.running.steps import (
    METRICS,
    State,
    StepFailedError,
    build_emoji_lt,
    digest_of,
    make_test_step,
    make_train_step,
    read_metrics,
    run_once,
    train_once,
)
from mmengine.config import Config
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

CONFIGS = Path('configs')
# Every part of BACL is judged against it: stage 2 with the loss of stage 1, for as long.
BASELINE = 'faster-rcnn_effnet-lite0_emoji-lt-mini_stage2-bce'

Result = dict[str, float | None]  # AP, APr, APc, APf in [0, 1]; None for an empty group
Results = dict[tuple[str, int], Result]  # by config and seed


def parse_args(argv: Iterable[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--tables', nargs='+', metavar='NAME',
                        help="of tables.yml, e.g. III X 'Fig. 4' (default: all with Emoji-LT rows)")
    parser.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2])
    parser.add_argument('--jobs', type=int, default=os.cpu_count(),
                        help='runs at a time, of one thread each (default: number of cores)')
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/emoji_lt_ablation'))
    args = parser.parse_args(argv)
    if args.jobs < 1:
        parser.error(f'--jobs expects a number from 1 on, got {args.jobs}')
    return args


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


def stage1_of(name: str) -> str | None:
    """Return the name of the config of stage 1; None for a config of a single stage."""
    path = Config.fromfile(find_config(name)).get('stage1_config')
    return path and Path(path).name.removesuffix('.py')


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


def configs_of(tables: Iterable[dict]) -> list[str]:
    """Return the names of the configs to run, the baseline first, each once."""
    names = [BASELINE] + [row['emoji_lt'] for table in tables for row in table['rows']]
    return list(dict.fromkeys(names))


class Benchmark:
    """Trainings and tests of several configs and seeds, some at a time.

    Args:
        work_dir: holds ``seed-<seed>/<config>/``, ``logs/`` and the state of the runs.
        jobs: runs at a time.
        inputs: digest of the dataset.
        report: receives lines of text.
    """

    def __init__(self, work_dir: Path, jobs: int, inputs: str, report) -> None:
        self.work_dir = work_dir
        self.jobs = jobs
        self.inputs = inputs
        self.report = report
        self.state = State(work_dir / 'state.json')

    def run(self, names: list[str], seeds: list[int], advance) -> Results:
        """Return the result of every config and seed; ``advance()`` is called after each run.

        Raises:
            StepFailedError: if a run fails. Those under way end first, and no other starts.
        """
        stage1 = {name: stage1_of(name) for name in names}
        # Stage 1 first; then the single-stage runs, which take longest.
        first = [(name, seed) for seed in seeds
                 for name in dict.fromkeys(filter(None, stage1.values()))]
        rest = sorted(((name, seed) for seed in seeds for name in names),
                      key=lambda run: stage1[run[0]] is not None)
        trained, results = {}, {}
        for runs in (first, rest):
            with ThreadPoolExecutor(self.jobs) as pool:
                futures = {}
                for name, seed in runs:
                    inputs = self.inputs
                    if stage1.get(name):
                        inputs = trained[stage1[name], seed].digest
                    futures[name, seed] = pool.submit(self.run_one, name, seed, inputs)
                try:
                    for run, future in futures.items():
                        trained[run], results[run] = future.result()
                        advance()
                except BaseException:
                    pool.shutdown(cancel_futures=True)
                    raise
        return results

    def run_one(self, name: str, seed: int, inputs: str) -> tuple:
        """Train and test one config; return the training's step and the result."""
        config, folder = find_config(name), self.work_dir / f'seed-{seed}'
        # One thread each: more would wait for each other.
        env = dict(OMP_NUM_THREADS='1')
        train = make_train_step(f'train {name} seed {seed}', config, folder / name, seed, inputs,
                                env=env)
        test = make_test_step(f'test {name} seed {seed}', config, train, env=env)
        log_dir = self.work_dir / 'logs'
        if not (self.state.is_finished(train) and self.state.is_finished(test)):
            train_once(train, self.state, log_dir, self.report)
            run_once(test, self.state, log_dir, self.report)
        # By labels that know every category in every image, as all runs of the CSV.
        metrics = read_metrics(test.output, [f'exhaustive_{name}' for name in METRICS])
        return train, dict(zip(METRICS, metrics.values(), strict=True))


def spread(values: list[float | None], sign: str = '') -> str:
    """Return mean ± standard deviation in percent; 'n/a' if one is None."""
    if None in values:
        return 'n/a'
    text = f'{100 * mean(values):{sign}.1f}'
    return text if len(values) == 1 else f'{text} ± {100 * stdev(values):.1f}'


def format_table(table: dict, results: Results) -> str:
    """Return a Markdown table: mean and spread over the seeds, and the paper's numbers.

    The gain is that over the baseline of the same seed, that is, of the same stage-1 checkpoint.
    Rows of which nothing was measured are left out; one that lacks a seed says which it has.
    """
    lines = [
        f'**{name_of(table)}**: {table["title"]}', '',
        '| row | AP | APr | APc | APf | AP - BCE* | APr - BCE* '
        '| paper, LVIS: AP / APr / APc / APf |',
        '|---|---|---|---|---|---|---|---|']
    all_seeds = seeds_of(BASELINE, results)
    for row in table['rows']:
        seeds = [seed for seed in seeds_of(row['emoji_lt'], results) if seed in all_seeds]
        if not seeds:
            continue
        runs = [results[row['emoji_lt'], seed] for seed in seeds]
        base = [results[BASELINE, seed] for seed in seeds]
        cells = [spread([run[metric] for run in runs]) for metric in METRICS]
        for metric in ('AP', 'APr'):
            pairs = [(run[metric], b[metric]) for run, b in zip(runs, base, strict=True)]
            cells.append(spread([None if None in pair else pair[0] - pair[1] for pair in pairs],
                                sign='+'))
        cells.append(' / '.join(map(str, row['paper'])) if 'paper' in row else '–')
        name = row['row'] if seeds == all_seeds else f'{row["row"]} (seeds {seeds})'
        lines.append(f'| {name} | ' + ' | '.join(cells) + ' |')
    return '\n'.join(lines)


def seeds_of(config: str, results: Results) -> list[int]:
    """Return the seeds with which a config was run."""
    return sorted(seed for name, seed in results if name == config)


def name_of(table: dict) -> str:
    """Return 'Table III' or 'Fig. 4'."""
    return table['table'] if table['table'].startswith('Fig') else f'Table {table["table"]}'


def format_report(tables: list[dict], results: Results) -> str:
    """Return the baseline of all rows and all tables, as Markdown."""
    baseline = next(dict(table, title='the baseline of all rows',
                         rows=[dict(row, row='stage 2 with the loss of stage 1 (BCE*)')])
                    for table in all_tables() for row in table['rows']
                    if row.get('emoji_lt') == BASELINE)
    return '\n\n'.join(format_table(table, results) for table in (baseline, *tables)) + '\n'


def read_csv(path: Path) -> Results:
    """Return what :func:`write_csv` wrote; nothing if there is no file."""
    if not path.is_file():
        return {}
    with path.open(newline='') as file:
        return {(row['config'], int(row['seed'])): {
            m: float(row[m]) / 100 if row[m] else None for m in METRICS}
            for row in csv.DictReader(file)}


def write_csv(path: Path, results: Results) -> None:
    """Write one line per run, in percent with four digits; an empty group stays empty."""
    with path.open('w', newline='') as file:
        writer = csv.writer(file, lineterminator='\n')
        writer.writerow(['config', 'seed', *METRICS])
        for (name, seed), result in sorted(results.items()):
            writer.writerow([name, seed, *(
                '' if result[m] is None else f'{100 * result[m]:.4f}' for m in METRICS)])


def main() -> None:
    """Run, show the progress, write the results."""
    args = parse_args()
    tables = load_tables(args.tables)
    names = configs_of(tables)
    columns = (TextColumn('{task.description}'), BarColumn(), MofNCompleteColumn(),
               TimeElapsedColumn())
    with Progress(*columns) as progress:
        def report(line: str) -> None:
            progress.console.print(line, markup=False, highlight=False, soft_wrap=True)

        inputs = digest_of('official', build_emoji_lt('mini', args.work_dir / 'logs', report))
        benchmark = Benchmark(args.work_dir, args.jobs, inputs, report)
        task = progress.add_task('runs', total=(len(names) + 1) * len(args.seeds))
        results = benchmark.run(names, args.seeds, lambda: progress.advance(task))
    # Other tables and seeds, run earlier, stay.
    results = {**read_csv(args.work_dir / 'results.csv'), **results}
    write_csv(args.work_dir / 'results.csv', results)
    text = format_report(tables, results)
    (args.work_dir / 'tables.md').write_text(text)
    print(f'\nEmoji-LT mini, seeds {seeds_of(BASELINE, results)}, box AP in percent\n\n{text}\n'
          f'{args.work_dir}/results.csv, tables.md, logs/')


if __name__ == '__main__':
    try:
        main()
    except (StepFailedError, ValueError, FileNotFoundError) as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit('\nInterrupted. Run the same command again to go on from here.')
