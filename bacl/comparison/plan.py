"""Runs of a comparison: methods are tuned on held-out images, then tested with what was best."""
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import getitem
from pathlib import Path

from bacl.engine.calibration.choice import OPENED
from bacl.engine.checking.config_check import arguments
from bacl.engine.running.config_types import resolve_type
from bacl.engine.running.dataset_configs import unwrapped_datasets
from bacl.engine.running.seed_table import Results
from bacl.engine.running.settings import Settings, apply_settings
from bacl.feature_bank.sweep import Row, Sweep
from mmdet.registry import MODELS
from mmengine.config import Config

from .data import Data, trained_on
from .methods import Comparison, Method
from .trials import Trial, settings_text

RATE = 'optim_wrapper.optimizer.lr'
_CALIBRATOR = 'model.test_cfg.rcnn.calibrator'
_TRIAL_SEED = 0
TUNING = ('calibrator', 'rate', 'all')


@dataclass(frozen=True)
class Entry:
    """A row of the comparison.

    Attributes:
        method: of it.
        calibrator: type of what its scores go through; '' for nothing.
        settings: that were chosen.
    """

    method: Method
    calibrator: str
    settings: Settings

    @property
    def name(self) -> str:
        """Of no other row."""
        return f'{self.method.name} + {self.calibrator}' if self.calibrator else self.method.name


class Plan:
    """Trainings and tests of methods over one bank; what is finished is reused.

    Every method is tuned by the same rule, a training for each trial, with one seed. Learning rates
    are those of a ladder: the config's and the next higher one, then further ones until those on
    both sides of the best are known. With the best, the config's value of the one strength that a
    method may have is tried, and further ones. Then each of its calibrators gets some strengths,
    without training. The best is that with the highest AP on held-out images.

    Args:
        comparison: what is tried.
        methods: those that are compared.
        configs: files of their configs, by name.
        data: that they are trained and chosen on; None is what the configs say, without tuning.
        bank: folder of the feature bank; None trains online.
        stage1: checkpoint that trainings start from; None is that of the bank, if there is one.
        work_dir: folder for all that is written.
        jobs: trainings at a time.
        runs: whether what is not finished is run; it is left out otherwise.
        known: AP on held-out images of trials that were made elsewhere, by method and text. A
            choice between settings that are all known is not tried again. Where one is not, all
            are, as two trainings of stage 1 differ by more than settings do.

    Attributes:
        errors: of failed runs, by row and seed.
    """

    def __init__(self, comparison: Comparison, methods: Sequence[Method],
                 configs: Mapping[str, Path], data: Data | None, bank: str | None,
                 stage1: str | None, work_dir: Path, jobs: int, runs: bool = True,
                 known: Mapping[tuple[str, str], float] | None = None) -> None:
        self.comparison, self.methods, self.configs = comparison, methods, configs
        self.data, self.bank, self.stage1, self.work_dir = data, bank, stage1, work_dir
        self.jobs, self.runs, self.known = jobs, runs, known or {}
        self._trials: dict[tuple[str, str], Trial] = {}
        self.errors: dict[tuple[str, int], str] = {}

    @property
    def trials(self) -> list[Trial]:
        """All that were made or known, in their order; of repeated ones the last."""
        return list(self._trials.values())

    def check(self) -> None:
        """Refuse configs that a run would fail of, before the first one.

        Raises:
            ValueError: naming the methods and what is wrong with them; or a method that fine-tunes
                a stage 1 of other images.
        """
        if self.bank is None and self.stage1 is not None:
            self._check_images(self.stage1)
        rows = [self._row(method.name, method, strengths[0], is_test=True) for method, strengths
                in zip(self.methods, map(self._strengths, self.methods), strict=True)]
        Sweep(rows, [_TRIAL_SEED], self.bank, self.work_dir, self.stage1).check(self.jobs)

    def tune(self, tuning: str) -> list[Entry]:
        """Choose settings for each method, then the strengths of its calibrators.

        Args:
            tuning: 'all'; 'rate', without strengths of methods; 'calibrator', without learning
                rates, too.

        Returns:
            Rows of the comparison. Where all trials failed, settings are those that were tried
            first.
        """
        best = self._best_rates(self.comparison.learning_rates if tuning != 'calibrator' else [1])
        if tuning == 'all':
            best = self._best({(method, ''): [{**settings, **strength} for strength
                                              in self._strengths(method)]
                               for (method, _), settings in best.items()})
        calibrated = self._best({
            (method, calibrator): [{**settings, **strength} for strength
                                   in self._strengths_of_calibrator(calibrator)]
            for (method, _), settings in best.items() for calibrator in method.calibrators})
        return [Entry(method, calibrator, settings)
                for (method, calibrator), settings in {**best, **calibrated}.items()]

    def test(self, entries: Iterable[Entry], seeds: Sequence[int]) -> Sweep:
        """Test what was chosen, trained with several seeds.

        Args:
            entries: rows of the comparison.
            seeds: of the trainings.
        """
        return self._run([self._row(entry.name, entry.method, entry.settings, is_test=True)
                          for entry in entries], seeds, keeps_detections=True)

    def _best_rates(self, ladder: Sequence[float]) -> dict[tuple[Method, str], Settings]:
        """Of each method the best learning rate of a ladder, whose neighbours are known."""
        above = ladder.index(1) + 1
        tried = {method: [1, *ladder[above:above + 1]] for method in self.methods}
        own = {method: self._config(method).optim_wrapper.optimizer.lr for method in self.methods}
        while True:
            settings = {method: [{RATE: factor * own[method]} for factor in factors]
                        for method, factors in tried.items()}
            best = self._best({(method, ''): values for method, values in settings.items()})
            lacking = {}
            for (method, _), chosen in best.items():
                place = ladder.index(tried[method][settings[method].index(chosen)])
                lacking[method] = [factor for factor in ladder[max(place - 1, 0):place + 2]
                                   if factor not in tried[method]]
            if not any(lacking.values()):
                return best
            tried = {method: [*factors, *lacking[method]] for method, factors in tried.items()}

    def _best(self, tried: Mapping[tuple[Method, str], Sequence[Settings]]
              ) -> dict[tuple[Method, str], Settings]:
        """Of each method and calibrator the settings with the highest AP on held-out images.

        Of equal ones the first. Where there is but one, nothing has to be run.
        """
        known = {key: [self.known.get((key[0].name, settings_text(settings)))
                       for settings in settings_of] for key, settings_of in tried.items()}
        rows = {(*key, place): self._row(f'{key[0].name} {_short(settings)}', key[0], settings,
                                         is_test=False)
                for key, settings_of in tried.items() if len(settings_of) > 1 and None in known[key]
                for place, settings in enumerate(settings_of)}
        results = self._run(list(rows.values()), [_TRIAL_SEED]).results if rows else {}
        best = {}
        for key, settings_of in tried.items():
            if len(settings_of) == 1:
                best[key] = settings_of[0]
                continue
            name = key[0].name
            values = [_ap(results, rows[(*key, place)].name) for place in range(len(settings_of))
                      ] if None in known[key] else known[key]
            for settings, value in zip(settings_of, values, strict=True):
                self._trials[name, settings_text(settings)] = Trial(name, settings, value)
            finished = [value for value in values if value is not None]
            best[key] = settings_of[values.index(max(finished)) if finished else 0]
        return best

    def _row(self, name: str, method: Method, settings: Settings, is_test: bool) -> Row:
        config = self.configs[method.config]
        cfg = Config.fromfile(config)
        head = resolve_type(cfg.model.roi_head, MODELS, cfg.get('default_scope'))
        opened = {'model.roi_head.type': OPENED[head]} if method.calibrators and head in OPENED \
            else {}
        data = self.data.settings(cfg, is_test) if self.data else {}
        return Row(name, str(config), {**self.comparison.settings, **method.settings, **opened,
                                       **settings, **data})

    def _check_images(self, stage1: str) -> None:
        images = trained_on(stage1) or Path()
        for method in self.methods:
            dataset = next(unwrapped_datasets(self._config(method).train_dataloader.dataset))
            path = Path(dataset.get('data_root') or '', dataset.ann_file)
            # Not the whole of it: data may be found by another path than they were.
            if path.parts[-3:] != images.parts[-3:]:
                raise ValueError(
                    f'{method.name!r} is trained on {path}, and {stage1} does not say that it is a '
                    'stage 1 of these. Name one with --stage1-checkpoint; that of the config is '
                    'trained on these with --cfg-options '
                    f'train_dataloader.dataset.ann_file={dataset.ann_file}.')

    def _config(self, method: Method) -> Config:
        cfg = Config.fromfile(self.configs[method.config])
        apply_settings(cfg, {**self.comparison.settings, **method.settings})
        return cfg

    def _strengths(self, method: Method) -> list[Settings]:
        """The config's own first; an empty one of a method that has no strength."""
        own: Settings = {}
        for key in method.strength:
            try:
                own[key] = reduce(getitem, key.split('.'), self._config(method))
            except KeyError as error:
                raise ValueError(
                    f'The strength of {method.name!r} in methods.yml expects a setting that '
                    f'{method.config} has, as its value is the first that is tried; there is no '
                    f'{key}.') from error
        return [own, *method.strengths()]

    def _strengths_of_calibrator(self, calibrator: str) -> list[Settings]:
        ((name, values),) = self.comparison.calibrators[calibrator].items()
        fixed: Settings = {f'{_CALIBRATOR}.type': calibrator}
        if 'ann_file' in arguments(MODELS.get(calibrator)):
            fixed[f'{_CALIBRATOR}.ann_file'] = str(self.data.part)
        return [{**fixed, f'{_CALIBRATOR}.{name}': value} for value in values]

    def _run(self, rows: Sequence[Row], seeds: Sequence[int],
             keeps_detections: bool = False) -> Sweep:
        sweep = Sweep(rows, seeds, self.bank, self.work_dir, self.stage1, keeps_detections)
        if self.runs:
            sweep.run(self.jobs)
        self.errors |= sweep.errors
        return sweep


def _ap(results: Results, name: str) -> float | None:
    return results.get((name, _TRIAL_SEED), {}).get('AP')


def _short(settings: Settings) -> str:
    return ' '.join(f'{key.rpartition(".")[2]}={value}' for key, value in settings.items()
                    if not key.endswith('.ann_file'))
