"""Runs of all rows and seeds, and what comes of them."""
import hashlib
import json
import shutil
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from bacl.engine.running.processes import run_each
from bacl.engine.running.seed_table import Result, format_table, write_results, write_summary
from bacl.engine.running.work_dir import find_checkpoint, require_file
from tqdm import tqdm

from ..conversion import checkpoint_of_bank
from ..fingerprint import file_digest
from ..storage import FeatureBankError, read_meta
from .rows import Row, describe
from .run import Run, check_run, load_config, read_result, train_and_test

LOG = 'run.log'


class Sweep:
    """Stages 2 over a bank, each of several rows with each of several seeds.

    A run has a folder that is named after a digest of all that decides its result, the code
    excepted: config, settings, seed, bank and checkpoint of stage 1. A finished one holds its
    result, and is reused by any sweep in the same folder.

    Args:
        rows: of at least one config; the first one is what others are compared with.
        seeds: of the trainings.
        bank: folder of the feature bank.
        work_dir: folder for all that is written.
        stage1: checkpoint, or folder with one, of stage 1; None is that of the bank.

    Attributes:
        results: of finished runs, by row and seed.
        errors: of failed runs, by row and seed.

    Raises:
        FeatureBankError: if there is no such bank, or if it is not whole.
        FileNotFoundError: if a config or the checkpoint is missing.
        ValueError: if a setting of a row is wrong.
    """

    def __init__(self, rows: Sequence[Row], seeds: Sequence[int], bank: str, work_dir: Path,
                 stage1: str | None = None) -> None:
        self.rows, self.work_dir = list(rows), work_dir
        meta, checkpoint = read_meta(bank), _find_checkpoint(bank, stage1)
        inputs = [meta['fingerprint'], meta['options'], file_digest(Path(checkpoint))]
        contents = {row.name: load_config(row.config, row.settings).to_dict() for row in rows}
        self.folders: dict[tuple[str, int], Path] = {}
        self._runs: dict[Path, Run] = {}
        for seed in seeds:  # so that all rows have a result early
            for row in rows:
                digest = _digest(contents[row.name], seed, *inputs)
                folder = work_dir / 'runs' / f'{Path(row.config).stem}_seed-{seed}_{digest}'
                self.folders[row.name, seed] = folder
                self._runs[folder] = Run(row.config, row.settings, seed, str(bank), checkpoint)
        self.results: dict[tuple[str, int], Result] = {}
        self.errors: dict[tuple[str, int], str] = {}
        for folder in self._runs:
            self._read(folder)

    def _read(self, folder: Path) -> None:
        result = read_result(folder)
        if result is not None:
            self.results.update({key: result for key in self._keys(folder)})

    def _keys(self, folder: Path) -> list[tuple[str, int]]:
        """Rows and seeds of a run: rows may differ in their names alone."""
        return [key for key, other in self.folders.items() if other == folder]

    def pending(self) -> list[Path]:
        """Folders of the runs that are not finished."""
        return [folder for folder in self._runs if self._keys(folder)[0] not in self.results]

    def check(self, jobs: int) -> None:
        """Refuse settings that a run would fail of: build what each row trains.

        Args:
            jobs: processes at a time.

        Raises:
            ValueError: naming the rows and what is wrong with them.
        """
        first = {self._keys(folder)[0][0]: folder for folder in reversed(self.pending())}
        names = [row.name for row in self.rows if row.name in first]
        logs = [self.work_dir / 'checks' / f'{number}.log' for number in range(len(names))]
        checks = run_each(check_run, [(self._runs[first[name]], first[name]) for name in names],
                          logs, jobs)
        with closing(checks):
            problems = [f'{names[number]}: {error} (log: {logs[number]})'
                        for number, error in checks if error]
        if problems:
            raise ValueError('\n'.join(['No run was started:', *problems]))

    def run(self, jobs: int) -> None:
        """Do all runs that are not finished; one that fails is named, and the rest goes on.

        Args:
            jobs: runs at a time.
        """
        pending = self.pending()
        for folder in pending:  # remains of an interrupted run
            shutil.rmtree(folder, ignore_errors=True)
        ended = run_each(train_and_test, [(self._runs[folder], folder) for folder in pending],
                         [folder / LOG for folder in pending], jobs)
        bar = _ProgressBar(total=len(pending), unit='run', desc='runs', dynamic_ncols=True,
                           disable=None)  # where the output is no terminal
        with bar, closing(ended):
            for done, (number, error) in enumerate(ended, start=1):
                bar.write(f'[{done}/{len(pending)}] {self._take(pending[number], error)}')
                bar.update()

    def _take(self, folder: Path, error: str | None) -> str:
        """Read the result of a run that has ended; return what is to be told of it."""
        keys = self._keys(folder)
        self._read(folder)
        name, seed = keys[0]
        if error is None and keys[0] not in self.results:
            error = 'ended without a result'
        if error is not None:
            self.errors.update({key: error for key in keys})
            return f'{name}, seed {seed} FAILED: {error} (log: {folder / LOG})'
        result = self.results[keys[0]]
        return f'{name}, seed {seed}: ' + ', '.join(
            f'{key} {100 * result[key]:.1f}' for key in ('AP', 'APr')
            if result.get(key) is not None)

    def write(self) -> str:
        """Write ``results.csv``, ``summary.csv`` and ``table.md``; return the table."""
        table = format_table([row.name for row in self.rows], self.results)
        described = {row.name: describe(row) for row in self.rows}
        write_results(self.work_dir / 'results.csv', described, self.results)
        write_summary(self.work_dir / 'summary.csv', described, self.results)
        (self.work_dir / 'table.md').write_text(table)
        return table


class _ProgressBar(tqdm):
    monitor_interval = 0  # its thread would not survive the forks


def _digest(*parts: Any) -> str:
    text = json.dumps(parts, sort_keys=True, default=repr)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _find_checkpoint(bank: str, stage1: str | None) -> str:
    given = stage1 or checkpoint_of_bank(bank)
    if given is None:
        raise FeatureBankError(f'The checkpoint {read_meta(bank)["checkpoint"]} that the bank '
                               f'{bank} was built with is not there any more. Name it with '
                               '--stage1-checkpoint PATH.')
    if not Path(given).is_dir():
        require_file(given, '--stage1-checkpoint')
        return given
    found = find_checkpoint(given)
    if found is None:
        raise FileNotFoundError(f'--stage1-checkpoint expects a folder with a checkpoint, got '
                                f'{given!r}.')
    return str(found)
