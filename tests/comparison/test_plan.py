import math
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from bacl.comparison import Comparison, Data, Method, Plan
from bacl.comparison import plan as module
from bacl.comparison.plan import RATE, Entry
from bacl.comparison.trials import settings_text
from mmengine.config import Config
from small_stage2 import stage2_config

CALIBRATOR = 'model.test_cfg.rcnn.calibrator'
SHARPNESS = 'model.roi_head.bbox_head.loss_cls.alpha'


@pytest.fixture
def cfg(write_lvis, tmp_path):
    cfg = stage2_config(write_lvis(tmp_path, 'v1'))
    cfg.model.roi_head.bbox_head.loss_cls.alpha = 0.85
    cfg.dump(tmp_path / 'stage2.py')
    return Config.fromfile(tmp_path / 'stage2.py')


class PretendedSweep:
    """Says how good a row is by its settings: best at twice the learning rate and alpha 0.5."""

    made = []
    fails = False

    def __init__(self, rows, seeds, bank, work_dir, stage1=None, keeps_detections=False):
        self.rows, self.seeds, self.errors = rows, seeds, {}
        self.results = {(row.name, seed): {'AP': self.ap(row)} for row in rows for seed in seeds
                        if not self.fails}
        self.made.append(self)

    @staticmethod
    def ap(row):
        settings = row.settings
        return (1 - abs(settings.get(RATE, 0.01) - 0.02) - abs(settings.get(SHARPNESS, 0.85) - 0.5)
                + 0.1 * settings.get(f'{CALIBRATOR}.tau', 0))

    def run(self, jobs):
        """Nothing is left to do."""


@pytest.fixture
def make_plan(cfg, tmp_path, monkeypatch):
    monkeypatch.setattr(module, 'Sweep', PretendedSweep)
    monkeypatch.setattr(PretendedSweep, 'made', [])

    def make(known=None, **changes):
        method = Method('BACL', 'stage2', 'loss', 'BACL', **{
            'strength': {SHARPNESS: [0.5, 0.7]}, 'calibrators': ['LogitAdjustment'], **changes})
        comparison = Comparison(
            [method], [0.25, 0.5, 1, 2, 4, 8], {'LogitAdjustment': {'tau': [0.5, 1.0]},
                                    'TauNorm': {'tau': [0.1, 0.9, 0.2]}}, 'BACL', 'BACL')
        return Plan(comparison, [method], {'stage2': tmp_path / 'stage2.py'},
                    Data(tmp_path / 'part.json', tmp_path / 'held_out.json'), 'bank', None,
                    tmp_path / 'out', 1, known=known)

    return make


def test_rates_come_first_then_strengths_then_the_calibrator(make_plan):
    plan = make_plan()
    plain, calibrated = plan.tune('all')
    assert (plain.name, calibrated.name) == ('BACL', 'BACL + LogitAdjustment')
    assert plain.settings == {RATE: 0.02, SHARPNESS: 0.5}
    assert calibrated.settings[f'{CALIBRATOR}.tau'] == 1.0
    assert calibrated.settings[RATE] == 0.02 and calibrated.settings[SHARPNESS] == 0.5
    # 3 rates, the config's strength and 2 more, 2 strengths of the calibrator.
    assert [trial.settings[RATE] for trial in plan.trials[:3]] == [0.01, 0.02, 0.04]
    assert [trial.settings[SHARPNESS] for trial in plan.trials[3:6]] == [0.85, 0.5, 0.7]
    assert [len(trial.settings) for trial in plan.trials] == [1] * 3 + [2] * 3 + [5] * 2
    assert all(list(sweep.seeds) == [0] for sweep in PretendedSweep.made)


def test_a_strength_has_a_value_in_the_config(make_plan):
    with pytest.raises(ValueError, match=r"'BACL'.* a setting that stage2 has.* no model.typo"):
        make_plan(strength={'model.typo': [1.0]}).check()


def test_each_calibrator_is_a_row_with_a_strength_of_its_own(make_plan, tmp_path):
    plan = make_plan(calibrators=['LogitAdjustment', 'TauNorm'])
    rows = {entry.name: entry.settings for entry in plan.tune('calibrator')}
    assert list(rows) == ['BACL', 'BACL + LogitAdjustment', 'BACL + TauNorm']
    assert rows['BACL + LogitAdjustment'] == {
        RATE: 0.01, f'{CALIBRATOR}.type': 'LogitAdjustment', f'{CALIBRATOR}.tau': 1.0,
        f'{CALIBRATOR}.ann_file': str(tmp_path / 'part.json')}
    # It knows the weights, and has no use for counts.
    assert rows['BACL + TauNorm'] == {
        RATE: 0.01, f'{CALIBRATOR}.type': 'TauNorm', f'{CALIBRATOR}.tau': 0.9}


def test_less_tuning_tries_less(make_plan):
    assert make_plan().tune('rate')[0].settings == {RATE: 0.02}
    plan = make_plan(calibrators=[])
    (plain,) = plan.tune('calibrator')
    assert plain.settings == {RATE: 0.01} and not plan.trials and len(PretendedSweep.made) == 3


def known_trials(plan):
    return {(trial.method, settings_text(trial.settings)): trial.ap for trial in plan.trials}


def test_known_trials_are_not_made_again(make_plan):
    first = make_plan()
    chosen = first.tune('all')
    made = len(PretendedSweep.made)
    second = make_plan(known=known_trials(first))
    assert second.tune('all') == [
        Entry(second.methods[0], entry.calibrator, entry.settings) for entry in chosen]
    assert len(PretendedSweep.made) == made and second.trials == first.trials


def test_a_choice_is_between_trials_of_one_stage_1(make_plan):
    first = make_plan()
    first.tune('rate')
    PretendedSweep.made.clear()
    # Rates are known, and so are the values of the strength but one: all of them are tried again.
    rates = known_trials(first)
    known = rates | {('BACL', f'{RATE}=0.02 {SHARPNESS}={value}'): -9.0 for value in (0.5, 0.85)}
    plan = make_plan(known=known, calibrators=[])
    (plain,) = plan.tune('all')
    (sweep,) = PretendedSweep.made
    assert [row.settings.get(SHARPNESS) for row in sweep.rows] == [0.85, 0.5, 0.7]
    assert plain.settings == {RATE: 0.02, SHARPNESS: 0.5}
    values = {text: ap for (_, text), ap in known_trials(plan).items()}
    assert values[f'{RATE}=0.02 {SHARPNESS}=0.5'] == 1  # none of another stage 1 beside them
    # Those of the rates stay what they were, so that they choose the same rate again.
    assert {text: ap for text, ap in values.items() if SHARPNESS not in text} == {
        text: ap for (_, text), ap in rates.items() if 'calibrator' not in text}


def test_trials_see_held_out_images_and_the_test_its_own(make_plan, cfg, tmp_path):
    plan = make_plan()
    entries = plan.tune('all')
    plan.test(entries, [0, 1])
    *trials, test = PretendedSweep.made
    held_out, own = str(tmp_path / 'held_out.json'), cfg.test_evaluator.ann_file
    for sweep in trials:
        for row in sweep.rows:
            assert row.settings['test_evaluator.ann_file'] == held_out
            assert row.settings['test_dataloader.dataset.ann_file'] == held_out
    for row in test.rows:
        assert row.settings['train_dataloader.dataset.ann_file'] == str(tmp_path / 'part.json')
        assert not [key for key in row.settings if key.startswith('test_')]
    assert own != held_out and list(test.seeds) == [0, 1]


def test_a_method_all_of_whose_trials_fail_keeps_its_rows(make_plan, monkeypatch):
    plan = make_plan()
    monkeypatch.setattr(PretendedSweep, 'fails', True)
    assert [entry.settings[RATE] for entry in plan.tune('all')] == [0.01, 0.01]
    assert {trial.ap for trial in plan.trials} == {None}


@pytest.mark.parametrize('best, tried', [
    (0.02, [0.01, 0.02, 0.04]), (0.01, [0.01, 0.02, 0.005]), (0.0025, [0.01, 0.02, 0.005, 0.0025]),
    (0.08, [0.01, 0.02, 0.04, 0.08])])
def test_rates_are_tried_until_both_sides_of_the_best_are_known(make_plan, monkeypatch, best,
                                                                 tried):
    monkeypatch.setattr(PretendedSweep, 'ap', staticmethod(
        lambda row: -abs(math.log(row.settings.get(RATE, 0.01) / best))))
    plan = make_plan(strength={}, calibrators=[])
    assert plan.tune('rate')[0].settings == {RATE: best}
    assert [trial.settings[RATE] for trial in plan.trials] == tried


@pytest.fixture
def whole(cfg):
    return Path(cfg.train_dataloader.dataset.data_root, cfg.train_dataloader.dataset.ann_file)


def test_held_out_images_have_to_be_there(cfg, whole):
    with pytest.raises(FileNotFoundError, match=r'_part.json, .*_held_out.json.* Hold images out'):
        Data.find(cfg)
    for name in ('part', 'held_out'):
        whole.with_name(f'{whole.stem}_{name}.json').touch()
    found = Data.find(cfg)
    assert found.part.is_absolute() and found.part.is_file() and found.held_out.is_file()


@pytest.mark.parametrize('trained_on, is_right', [('train_part.json', True), ('train.json', False),
                                                  (None, False)])
def test_stage_1_has_not_seen_held_out_images(tmp_path, trained_on, is_right):
    data = Data(tmp_path / 'train_part.json', tmp_path / 'train_held_out.json')
    meta = {} if trained_on is None else {
        'cfg': f"train_dataloader = dict(dataset=dict(ann_file='annotations/{trained_on}'))\n"
        "val_dataloader = dict(dataset=dict(ann_file='train_part.json'))"}
    torch.save({'meta': meta, 'state_dict': {}}, tmp_path / 'stage1.pth')
    with nullcontext() if is_right else pytest.raises(ValueError, match='does not say that it was '
                                                      'trained without them, on train_part.json'):
        data.check_stage1(str(tmp_path / 'stage1.pth'))
