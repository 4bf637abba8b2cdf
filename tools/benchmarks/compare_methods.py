"""Compare long-tail methods on one frozen detector: tuned alike, calibrated, tested by seeds.

Of the training images some are held out. Stage 1 and every method are trained on the others, the
methods over a feature bank that is built first. What a method may be tuned by, and how, is in
configs/comparison/stage2/methods.yml; what was tried is in trials.csv. What is finished is reused:
the same command goes on. Needs the held-out images and stage 1 of Emoji-LT lvis-like
(configs/README.md has the commands).

--comparison configs/comparison/end-to-end compares trainings of whole detectors on Emoji-LT mini
instead: online, and with the settings of their configs; image-level, image-level-lvis-like and
dropped-annotations compare fine-tunings of one stage 1 likewise.
"""
import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

from bacl.comparison import Data, Plan, comparison_frame, read_comparison
from bacl.comparison.methods import Comparison
from bacl.comparison.page import write_comparison_page
from bacl.comparison.plan import TUNING, Entry
from bacl.comparison.statistics import read_statistics
from bacl.comparison.trials import read_trials, trials_frame
from bacl.engine.running.evaluators import box_evaluator
from bacl.engine.running.processes import run_each
from bacl.engine.running.run_lock import lock_work_dir
from bacl.engine.running.seed_table import write_results
from bacl.engine.running.stage1 import prepare_stage1
from bacl.feature_bank.building import build_feature_bank
from bacl.feature_bank.extraction import BankOptions
from bacl.feature_bank.sweep import Sweep
from mmdet.registry import METRICS
from mmengine.config import Config

CONFIGS = Path('configs')


def parse_args(argv: Iterable[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--methods', nargs='+', default=[], metavar='NAME',
                        help='of methods.yml (default: all)')
    parser.add_argument('--seeds', nargs='+', type=int, default=[1, 2, 3, 4, 5],
                        help='of the trainings that are tested (default: 1 2 3 4 5; 0 is that of '
                        'the tuning)')
    parser.add_argument('--tuning', choices=TUNING, default='all',
                        help='what is tuned: calibrators alone, learning rates, too, or all')
    parser.add_argument('--trials', type=Path, metavar='FILE',
                        help='trials.csv of an earlier tuning; choices that were made there are '
                        'not tried again (configs/comparison/stage2/trials.csv is the published '
                        'one)')
    parser.add_argument('--finished', action='store_true',
                        help='run nothing; write the tables of what is finished, whose rows may '
                        'then have different seeds')
    parser.add_argument('--jobs', type=int, default=1,
                        help='trainings at a time; several have one thread each (default: 1)')
    parser.add_argument('--stage1-checkpoint', metavar='PATH',
                        help='checkpoint or work_dir of stage 1 (default: where its training '
                        'leaves it)')
    parser.add_argument('--comparison', type=Path, default=CONFIGS / 'comparison/stage2',
                        metavar='DIR', help='folder with methods.yml, which says what is compared '
                        '(default: configs/comparison/stage2)')
    parser.add_argument('--work-dir', type=Path,
                        help='for all that is written (default: work_dirs/comparison/NAME, that '
                        'of the folder of --comparison)')
    args = parser.parse_args(argv)
    args.work_dir = args.work_dir or Path('work_dirs/comparison', args.comparison.name)
    if args.jobs < 1:
        parser.error(f'argument --jobs: expects a number from 1 on, got {args.jobs}')
    return args


def find_configs(comparison: Comparison) -> dict[str, Path]:
    """Files of the configs of all methods, by name.

    Raises:
        FileNotFoundError: naming the configs that no family has.
    """
    names = dict.fromkeys(method.config for method in comparison.methods)
    found = {name: next(CONFIGS.glob(f'*/{name}.py'), None) for name in names}
    missing = [name for name, path in found.items() if path is None]
    if missing:
        raise FileNotFoundError(f'No family in {CONFIGS} has {", ".join(missing)}.')
    return found


def find_stage1(args: argparse.Namespace, configs: dict[str, Path]) -> str | None:
    """Checkpoint of the stage 1 that all configs go on with; None if they start anew.

    Raises:
        ValueError: if the configs do not name the same stage 1.
        FileNotFoundError, RuntimeError: as of :func:`prepare_stage1`.
    """
    loaded = {name: Config.fromfile(path) for name, path in configs.items()}
    named = {name: (configs[name].parent / cfg.stage1_config).resolve() if 'stage1_config' in cfg
             else None for name, cfg in loaded.items()}
    if len(set(named.values())) > 1:
        raise ValueError(
            f'{args.comparison}/methods.yml expects configs with the same stage1_config, or none, '
            f'got { {name: path and path.stem for name, path in named.items()} }. Compare those of '
            'one stage 1 in a folder of their own.')
    cfg = next(iter(loaded.values()))
    if 'stage1_config' not in cfg and args.stage1_checkpoint is None:
        return None
    cfg.work_dir = str(Path('work_dirs', next(iter(loaded))))
    prepare_stage1(cfg, args.stage1_checkpoint)
    return cfg.load_from


def prepare(args: argparse.Namespace, config: Path) -> tuple[Data, str]:
    """Find held-out images and stage 1; build the bank, unless that was done."""
    cfg = Config.fromfile(config)
    cfg.work_dir = str(Path('work_dirs', config.stem))
    data = Data.find(cfg)
    prepare_stage1(cfg, args.stage1_checkpoint)
    checkpoint = cfg.load_from
    data.check_stage1(checkpoint)
    cfg.merge_from_dict(data.settings(cfg, is_test=True))
    bank, log = args.work_dir / 'bank', args.work_dir / 'logs/bank.log'
    print(f'Feature bank {bank}, unless it is there (log: {log})', flush=True)
    # In a process of its own: trainings are forked from this one, which must not have threads.
    for _, error in run_each(build_bank, [(cfg, checkpoint, str(bank))], [log], jobs=1):
        if error:
            raise RuntimeError(f'The feature bank failed: {error} (log: {log})')
    return data, str(bank)


def build_bank(cfg: Config, checkpoint: str, folder: str) -> None:
    """Build the bank of a comparison: images as they are, once."""
    build_feature_bank(cfg, checkpoint, folder, BankOptions(views=1, jitters=1), print)


def compare(args: argparse.Namespace) -> str | None:
    """Run all that is not finished and write the tables; return what is lacking, in words."""
    comparison = read_comparison(args.comparison / 'methods.yml')
    configs = find_configs(comparison)
    methods = comparison.chosen(args.methods) if args.methods else list(comparison.methods)
    known = read_trials(args.trials) if args.trials else {}
    if known:
        print(f'{len(known)} trials are known from {args.trials}, whatever they were made on.')
    baseline = next(m for m in methods if m.name == comparison.baseline)
    args.work_dir.mkdir(parents=True, exist_ok=True)
    with lock_work_dir(str(args.work_dir)):
        data = bank = stage1 = None
        if comparison.trains_features:
            stage1 = find_stage1(args, configs)
        else:
            data, bank = prepare(args, configs[baseline.config])
        plan = Plan(comparison, methods, configs, data, bank, stage1, args.work_dir, args.jobs,
                    runs=not args.finished, known=known)
        if not args.finished:
            plan.check()
        entries = plan.tune(args.tuning)
        sweep = plan.test(entries, args.seeds)
        write(args, comparison, plan, entries, sweep, configs[baseline.config])
    if plan.errors:
        failed = ', '.join(f'{name} (seed {seed}): {error}' for (name, seed), error
                           in plan.errors.items())
        return f'Failed: {failed}. The same command tries again.'
    return None


def write(args: argparse.Namespace, comparison: Comparison, plan: Plan, entries: list[Entry],
          sweep: Sweep, config: Path) -> None:
    """Write tables and page."""
    evaluator = box_evaluator(Config.fromfile(config))
    statistics = read_statistics(sweep, evaluator['ann_file'], METRICS.build(evaluator).max_dets,
                                 args.jobs)
    frame = comparison_frame(entries, sweep.results, statistics, plan.errors,
                             comparison.baseline, comparison.reference)
    frame.to_csv(args.work_dir / 'comparison.csv', index=False, float_format='%.4f')
    trials = trials_frame(plan.trials)
    trials.to_csv(args.work_dir / 'trials.csv', index=False, float_format='%.4f')
    write_results(args.work_dir / 'runs.csv',
                  {entry.name: {'row': entry.name} for entry in entries}, sweep.results)
    page = write_comparison_page(args.work_dir / 'report', frame, trials, comparison.baseline)
    print(frame[['row', 'seeds', 'AP', 'APr', 'APc', 'APf', 'fixed_AP', 'fixed_APr',
                 'exhaustive_AP']].round(1).to_string(index=False))
    print(f'{args.work_dir}/comparison.csv, trials.csv, runs.csv; {page}')


def main() -> None:
    """Compare; an error that the user can cure is one line."""
    try:
        sys.exit(compare(parse_args()))
    except (ValueError, RuntimeError, OSError) as error:
        sys.exit(f'{type(error).__name__}: {error}')
    except KeyboardInterrupt:
        sys.exit('Interrupted. The same command goes on.')


if __name__ == '__main__':
    main()
