"""Runs of all rows and seeds, and what comes of them."""
import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
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
from .run import Run, check_run, load_config, read_result, train_and_test, training_contents


class Sweep:
    """Trainings with tests of them, each of several rows with each of several seeds.

    A run has a folder that is named after a digest of all that decides its result, the code
    excepted: config, settings, the JSON files that these name, seed, bank and checkpoint of
    stage 1. A finished one holds its
    result, and is reused by any sweep in the same folder. Runs that differ only in how they are
    tested, by a calibrator for example, share a training, which has a folder of its own.

    Args:
        rows: of at least one config; the first one is what others are compared with.
        seeds: of the trainings.
        bank: folder of the feature bank; None trains online, as ``tools/train.py`` does.
        work_dir: folder for all that is written.
        stage1: checkpoint, or folder with one, of stage 1; None is that of the bank.
        keeps_detections: whether a run leaves its detections, ``detections.bbox.json``, too.

    Attributes:
        folders: of the runs, by row and seed.
        results: of finished runs, by row and seed.
        errors: of failed runs, by row and seed.

    Raises:
        FeatureBankError: if there is no such bank, or if it is not whole.
        FileNotFoundError: if a config or the checkpoint is missing.
        ValueError: if a setting of a row is wrong.
    """

    def __init__(self, rows: Sequence[Row], seeds: Sequence[int], bank: str | None,
                 work_dir: Path, stage1: str | None = None,
                 keeps_detections: bool = False) -> None:
        self.rows, self.work_dir, self.keeps_detections = list(rows), work_dir, keeps_detections
        checkpoint = _find_checkpoint(bank, stage1)
        inputs = [] if checkpoint is None else [file_digest(Path(checkpoint))]
        if bank is not None:
            meta = read_meta(bank)
            inputs = [meta['fingerprint'], meta['options'], *inputs]
        contents, trained = {}, {}
        for row in rows:
            cfg = load_config(row.config, row.settings)
            files = {path: file_digest(path) for path in sorted(_named_files(cfg.to_dict()))}
            contents[row.name] = cfg.to_dict(), list(files.values())
            trained[row.name] = training_contents(cfg)
            trained[row.name] = trained[row.name], [
                files[path] for path in sorted(_named_files(trained[row.name]))]
        self.folders: dict[tuple[str, int], Path] = {}
        self._runs: dict[Path, Run] = {}
        self._trainings: dict[Path, Path] = {}
        for seed in seeds:  # so that all rows have a result early
            for row in rows:
                folder, training = (
                    work_dir / kind / f'{Path(row.config).stem}_seed-{seed}_{digest}'
                    for kind, digest in (
                        ('runs', _digest(contents[row.name], seed, keeps_detections, *inputs)),
                        ('trainings', _digest(trained[row.name], seed, *inputs))))
                self.folders[row.name, seed] = folder
                self._trainings[folder] = training
                self._runs[folder] = Run(row.config, row.settings, seed, bank, checkpoint)
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

    def training_of(self, folder: Path) -> Path:
        """Folder of the training that a run tests."""
        return self._trainings[folder]

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
            jobs: trainings at a time.
        """
        of_training: dict[Path, list[Path]] = {}
        for folder in self.pending():
            shutil.rmtree(folder, ignore_errors=True)  # remains of an interrupted run
            of_training.setdefault(self._trainings[folder], []).append(folder)
        groups = list(of_training.values())
        logs = [self.work_dir / 'logs' / f'{folders[0].name}.log' for folders in groups]
        ended = run_each(
            train_and_test,
            [([self._runs[folder] for folder in folders], folders, training,
              self.keeps_detections) for training, folders in of_training.items()],
            logs, jobs)
        number, total = 0, sum(map(len, groups))
        bar = _ProgressBar(total=total, unit='run', desc='runs', dynamic_ncols=True,
                           disable=None)  # where the output is no terminal
        with bar, closing(ended):
            for place, error in ended:
                for folder in groups[place]:
                    number += 1
                    bar.write(f'[{number}/{total}] {self._take(folder, error, logs[place])}')
                    bar.update()

    def _take(self, folder: Path, error: str | None, log: Path) -> str:
        """Read the result of a run that has ended; return what is to be told of it."""
        keys = self._keys(folder)
        self._read(folder)
        name, seed = keys[0]
        if keys[0] not in self.results:
            self.errors.update({key: error or 'ended without a result' for key in keys})
            return f'{name}, seed {seed} FAILED: {self.errors[keys[0]]} (log: {log})'
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


def _named_files(node: Any, folder: str = '') -> set[Path]:
    """The JSON files that a config names, such as annotations; of datasets below their root."""
    if isinstance(node, Mapping):
        folder = node.get('data_root') or folder
        return set().union(*(_named_files(value, folder) for value in node.values()))
    if isinstance(node, list | tuple):
        return set().union(*(_named_files(value, folder) for value in node))
    if not (isinstance(node, str) and node.endswith('.json')):
        return set()
    return {path for path in (Path(node), Path(folder, node)) if path.is_file()}


def _digest(*parts: Any) -> str:
    text = json.dumps(parts, sort_keys=True, default=repr)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _find_checkpoint(bank: str | None, stage1: str | None) -> str | None:
    given = stage1 or (None if bank is None else checkpoint_of_bank(bank))
    if given is None:
        if bank is None:
            return None
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
