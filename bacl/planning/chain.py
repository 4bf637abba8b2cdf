"""The trainings and tests of a plan, one after the other; what is finished is not done again."""
import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from bacl.compat.atomic_files import write_atomically
from bacl.compat.optional_packages import require_packages
from bacl.engine.running.steps import (
    State,
    Step,
    clock,
    digest_of,
    make_test_step,
    make_train_step,
    progress_of,
    read_metrics,
    run_once,
    train_once,
)

from .decisions import CALIBRATOR
from .plan import PLAN

# Row of the table -> run whose predictions it shows. Differences are to the first.
ROWS = {'baseline': 'baseline', f'baseline + {CALIBRATOR}': CALIBRATOR, 'stage 1': 'stage1',
        'BACL': 'stage2'}
STEPS = ('stage 1', 'baseline', 'BACL', 'tests', 'calibration', 'report')

Report = Callable[[str], None]
Result = dict[str, float | None]  # AP and that of each group, in [0, 1]; None for an empty group


@dataclass(frozen=True)
class Chain:
    """The runs of a plan.

    Attributes:
        folder: of its configs.
        plan: content of ``plan.json`` there.
        work_dir: of all runs; each has a folder there.
        processes: of trainings and tests, one for each GPU.
        seed: of the trainings.
        report: receives a line for the user.
    """

    folder: Path
    plan: dict
    work_dir: Path
    processes: int
    seed: int
    report: Report

    @classmethod
    def of_folder(cls, folder: Path, processes: int | None = None, work_dir: Path | None = None,
                  seed: int = 0, report: Report = print) -> 'Chain':
        """The chain of a folder of configs.

        Args:
            folder: that tools/plan.py wrote.
            processes: None is the plan's number.
            work_dir: None is ``work_dirs/NAME``.
            seed: of the trainings.
            report: receives a line for the user.

        Raises:
            FileNotFoundError: if there is no plan.
            ValueError: if ``processes`` is below 1.
        """
        path = folder / PLAN
        if not path.is_file():
            raise FileNotFoundError(f'{folder} has no {PLAN}. Make a plan: python tools/plan.py')
        plan = json.loads(path.read_text())
        processes = plan['gpus'] if processes is None else processes
        if processes < 1:
            raise ValueError(f'GPUS expects a number from 1 on, got {processes}.')
        return cls(folder, plan, work_dir or Path('work_dirs', plan['name']), processes, seed,
                   report)

    def run(self) -> dict[str, Result]:
        """Run what is not finished; write and show the table.

        Returns:
            AP and that of each group, by row of the table.

        Raises:
            StepFailedError: if a step fails.
        """
        started = time.monotonic()
        trained = self._train()
        tests = {run: self._test(run, trained) for run in trained}
        tests[CALIBRATOR] = self._calibrate(trained['baseline'])
        results = {row: read_metrics(tests[run].output, self.metrics(), self.plan['metric'])
                   for row, run in ROWS.items()}
        table = format_table(results, self.plan['groups'])
        write_atomically(self.work_dir / 'table.md', f'{table}\n'.encode())
        write_atomically(self.work_dir / 'results.json',
                         (json.dumps(results, indent=2) + '\n').encode())
        self.report(f'\n{self.plan["name"]}, seed {self.seed}, box AP in percent\n\n{table}\n')
        page = self._write_report(tests)
        for run, step in trained.items():
            self.report(f'{run:<10} {step.output}')
        self.report(f'{"table":<10} {self.work_dir / "table.md"}\n{"report":<10} {page}\n'
                    f'{"time":<10} {clock(started)}')
        return results

    @cached_property
    def _state(self) -> State:
        return State(self.work_dir / 'plan_state.json')

    @property
    def _logs(self) -> Path:
        return self.work_dir / 'logs'

    def metrics(self) -> list[str]:
        """Names of the columns of the table."""
        return ['AP', *(f'AP{key}' for key in self.plan['groups'])]

    def _config(self, run: str) -> Path:
        return self.folder / f'{self.plan["configs"][run]}.py'

    def _work_dir(self, run: str) -> Path:
        return self.work_dir / self.plan['configs'][run]

    def _label(self, step: str, name: str = '') -> str:
        number = f'{STEPS.index(step) + 1}/{len(STEPS)}'
        return f'{number} {name or step}'

    def _env(self) -> dict[str, str]:
        return {'PYTHON': sys.executable} if self.processes > 1 else {}

    def _train(self) -> dict[str, Step]:
        inputs = digest_of(self.processes, *map(digest_of_file, self.plan['ann_files']))
        # Configs are for the plan's number of GPUs.
        arguments = [] if self.processes == self.plan['gpus'] else ['--auto-scale-lr']
        trained = {}
        for run, step in (('stage1', 'stage 1'), ('baseline', 'baseline'), ('stage2', 'BACL')):
            needed = trained['stage1'].digest if run == 'stage2' else inputs
            trained[run] = make_train_step(
                step, self._config(run), self._work_dir(run), self.seed, needed,
                processes=self.processes, arguments=arguments, label=self._label(step),
                env=self._env())
            train_once(trained[run], self._state, self._logs, self.report)
        return trained

    def _test(self, run: str, trained: Mapping[str, Step]) -> Step:
        name = next(row for row, of_row in ROWS.items() if of_row == run)
        test = make_test_step(f'test {name}', self._config(run), trained[run],
                              processes=self.processes,
                              label=self._label('tests', f'test {name}'), env=self._env())
        run_once(test, self._state, self._logs, self.report)
        return test

    def _calibrate(self, baseline: Step) -> Step:
        """Choose the strength of the calibrator on training images, and test with it."""
        folder, config = self._work_dir('baseline'), self._config('baseline')
        share = f'{self.plan["calibration_share"]:g}'
        command = [sys.executable, 'tools/calibrate.py', str(config), str(baseline.output),
                   '--work-dir', str(folder), '--calibrator', CALIBRATOR, '--share', share]
        chosen = Step('calibration', command, digest_of(CALIBRATOR, share, baseline.digest),
                      folder / 'calibration' / f'{config.stem}_{CALIBRATOR}.py',
                      self._label('calibration'), progress_of)
        run_once(chosen, self._state, self._logs, self.report)
        test = make_test_step(
            f'test {CALIBRATOR}', chosen.output, baseline, processes=self.processes,
            folder=self.work_dir / chosen.output.stem, inputs=chosen.digest,
            label=self._label('calibration', f'test {CALIBRATOR}'), env=self._env())
        run_once(test, self._state, self._logs, self.report)
        return test

    def _write_report(self, tests: Mapping[str, Step]) -> str:
        """The HTML page about all runs, or why there is none."""
        try:
            require_packages('Reports', 'pandas', 'plotly', 'jinja2', 'itables')
        except ImportError as error:
            self.report(f'[{self._label("report")}] left out: {error}')
            return 'none'
        runs = [f'{row}={tests[run].output.parent.parent}' for row, run in ROWS.items()]
        command = [sys.executable, 'tools/analysis_tools/report.py', *runs, '--out',
                   str(self.work_dir / 'report')]
        step = Step('report', command, digest_of('report', *(t.digest for t in tests.values())),
                    self.work_dir / 'report' / 'index.html', self._label('report'))
        run_once(step, self._state, self._logs, self.report)
        return str(step.output)


def digest_of_file(path: str | os.PathLike) -> str:
    """SHA-256 of a file that may be larger than the memory.

    Raises:
        FileNotFoundError: if there is no such file.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f'Annotation file {path} of the plan does not exist. Run it in the '
                                'folder where the plan was made, or plan again.')
    sha256 = hashlib.sha256()
    with open(path, 'rb') as file:
        while part := file.read(2**20):
            sha256.update(part)
    return sha256.hexdigest()


def format_table(results: Mapping[str, Result], groups: Mapping[str, str]) -> str:
    """A Markdown table in percent.

    Args:
        results: AP and that of each group, by row.
        groups: what they are called, by key.

    Example:
        >>> print(format_table({'a': {'AP': 0.25, 'AP1': None}}, {'1': 'below 20'}))
        |   |   AP | AP1 (below 20) |
        | - | ---: | -------------: |
        | a | 25.0 |            n/a |
    """
    names = {'AP': 'AP', **{f'AP{key}': f'AP{key} ({label})' for key, label in groups.items()}}
    rows = [[row, *('n/a' if values[key] is None else f'{100 * values[key]:.1f}' for key in names)]
            for row, values in results.items()]
    head = ['', *names.values()]
    widths = [max(1, *map(len, column)) for column in zip(head, *rows, strict=True)]
    widths = [widths[0], *(max(4, width) for width in widths[1:])]
    rule = ['-' * widths[0], *('-' * (width - 1) + ':' for width in widths[1:])]
    return '\n'.join(
        '| ' + ' | '.join([f'{line[0]:<{widths[0]}}', *(
            f'{cell:>{width}}' for cell, width in zip(line[1:], widths[1:], strict=True))]) + ' |'
        for line in (head, rule, *rows))
