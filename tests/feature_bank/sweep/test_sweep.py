import json
from pathlib import Path

import pytest
from bacl.feature_bank import FeatureBankError
from bacl.feature_bank.sweep import Row, Sweep
from bacl.feature_bank.sweep import sweep as module

LR = 'optim_wrapper.optimizer.lr'
CALIBRATOR = 'model.test_cfg.rcnn.calibrator'
TEMPERATURE = f'{CALIBRATOR}.temperature'


@pytest.fixture
def rows(stage2, tmp_path):
    stage2.dump(tmp_path / 'stage2.py')
    return [Row(f'lr={lr}', str(tmp_path / 'stage2.py'), {LR: lr}) for lr in (0.1, 0.2)]


@pytest.fixture
def make_sweep(rows, bank, tmp_path):
    """A sweep over two rows in the folder 'out'."""

    def make(rows=rows, seeds=(0, 1), **kwargs):
        return Sweep(rows, seeds, str(bank), tmp_path / 'out', **kwargs)

    return make


@pytest.fixture
def make_bank(bank, tmp_path):
    """What says of a bank what it is, with changes; without the arrays."""

    def make(**changes):
        meta = json.loads((bank / 'meta.json').read_text())
        (tmp_path / 'other').mkdir()
        (tmp_path / 'other/meta.json').write_text(json.dumps(meta | changes))
        return tmp_path / 'other'

    return make


def pretend(runs, folders, training, keeps_detections):
    """What takes the place of training and testing; fails at a learning rate of 0.2 and seed 1."""
    root = training.parents[1]
    if not training.exists():
        training.mkdir(parents=True)
        with (root / 'journal').open('a') as journal:
            journal.write(f'{runs[0].settings[LR]} {runs[0].seed}\n')
    for run, folder in zip(runs, folders, strict=True):
        folder.mkdir(parents=True)
        if (run.settings[LR], run.seed) == (0.2, 1) and not (root / 'mended').exists():
            training.rmdir()
            raise RuntimeError('no luck')
        metrics = {'lvis/bbox_AP': run.settings[LR] - run.settings.get(TEMPERATURE, 0),
                   'lvis/bbox_APr': None}
        (folder / 'result.json').write_text(json.dumps(
            dict(metrics=metrics, cpu_seconds=2, peak_mb=700)))


@pytest.fixture
def journal(monkeypatch, tmp_path):
    """Runs pretend; returns a function that tells which there were since it was asked."""
    monkeypatch.setattr(module, 'train_and_test', pretend)
    path = tmp_path / 'out/journal'

    def read():
        lines = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return lines

    return read


def test_finished_runs_are_reused_and_failed_ones_repeated(make_sweep, journal, tmp_path, capsys):
    sweep = make_sweep()
    sweep.run(jobs=1)
    assert journal() == ['0.1 0', '0.2 0', '0.1 1', '0.2 1']  # every row early
    assert sweep.errors == {('lr=0.2', 1): 'RuntimeError: no luck'}
    folder = sweep.folders['lr=0.2', 1]
    log = tmp_path / 'out/logs' / f'{folder.name}.log'
    assert f'[4/4] lr=0.2, seed 1 FAILED: RuntimeError: no luck (log: {log})' in \
        capsys.readouterr().out
    assert 'no luck' in log.read_text()
    assert sweep.results['lr=0.1', 0] == dict(AP=0.1, APr=None, cpu_seconds=2, peak_mb=700)

    (tmp_path / 'out/mended').touch()
    folder.mkdir(exist_ok=True)
    (folder / 'remains').touch()
    again = make_sweep()
    assert again.results == sweep.results and again.pending() == [folder]
    again.run(jobs=2)
    assert journal() == ['0.2 1'] and not again.errors and len(again.results) == 4
    assert not (folder / 'remains').exists()
    assert make_sweep().pending() == []


def test_rows_that_differ_in_their_test_share_a_training(make_sweep, journal, rows):
    def row(name, **calibrator):
        settings = {f'{CALIBRATOR}.{key}': value for key, value in calibrator.items()}
        return Row(name, rows[0].config, {LR: 0.1, **settings})

    plain, warm = row('plain'), row('warm', type='Temperature', temperature=0.05)
    make_sweep([plain], seeds=[0]).run(jobs=1)
    assert journal() == ['0.1 0']
    sweep = make_sweep([plain, warm])
    assert len(sweep.pending()) == 3
    sweep.run(jobs=1)
    assert journal() == ['0.1 1']
    assert [round(sweep.results[name, 1]['AP'], 3) for name in ('plain', 'warm')] == [0.1, 0.05]
    assert make_sweep([plain, warm]).pending() == []
    # Counts are given to a calibrator before the training, unless its config says them.
    of_file = row('file', type='NorCal', gamma=1., ann_file=str(rows[0].config))
    make_sweep([of_file], seeds=[0]).run(jobs=1)
    assert journal() == []
    make_sweep([row('asks', type='NorCal', gamma=1.)], seeds=[0]).run(jobs=1)
    assert journal() == ['0.1 0']


def test_another_sweep_in_the_folder_finds_the_runs(make_sweep, journal, rows):
    make_sweep(rows[:1]).run(jobs=1)
    journal()
    other = [Row('other name', rows[0].config, rows[0].settings), *rows]
    sweep = make_sweep(other, seeds=(1, 2))
    # Rows that differ in their name alone are one run.
    assert {('other name', 1), ('lr=0.1', 1)} == sweep.results.keys()
    sweep.run(jobs=1)
    assert journal() == ['0.2 1', '0.1 2', '0.2 2']
    assert sweep.results['other name', 2] == sweep.results['lr=0.1', 2]


def test_runs_differ_by_all_that_decides_their_results(make_sweep, rows, bank, make_bank, toy,
                                                       tmp_path):
    def folder(row=rows[0], seed=0, bank=bank, **kwargs):
        (path,) = Sweep([row], [seed], str(bank), tmp_path / 'out', **kwargs).folders.values()
        return path

    checkpoint = tmp_path / 'copy/epoch_1.pth'
    checkpoint.parent.mkdir()
    checkpoint.write_bytes(toy.checkpoint.read_bytes())
    same = [folder(), folder(stage1=str(checkpoint)), folder(stage1=str(checkpoint.parent)),
            folder(Row('x', rows[0].config, rows[0].settings))]
    assert len(set(same)) == 1
    others = [folder(rows[1]), folder(seed=1), folder(bank=make_bank(fingerprint={}))]
    checkpoint.write_bytes(b'other')
    others.append(folder(stage1=str(checkpoint)))
    text = Path(rows[0].config).read_text()
    Path(rows[0].config).write_text(text.replace('max_epochs=2', 'max_epochs=3'))
    others.append(folder())
    assert len({same[0], *others}) == 6


def test_what_is_wrong_is_said_before_anything_runs(make_sweep, rows, journal, stage2, tmp_path):
    loss = 'model.roi_head.bbox_head.loss_cls.alpha'
    stage2.model.type = 'FasterRCNN'
    stage2.dump(tmp_path / 'stage1.py')
    sweep = make_sweep([rows[0], Row('bad', rows[0].config, {loss: -1}),
                        Row('stage1', str(tmp_path / 'stage1.py'))])
    with pytest.raises(ValueError) as error:
        sweep.check(jobs=1)
    first, *others = str(error.value).splitlines()
    assert first == 'No run was started:' and len(others) == 2
    assert others[0].startswith('bad: ValueError: FCBL(alpha=) expects a number >= 0, got -1.')
    assert others[1].startswith('stage1: FeatureBankError: --feature-bank expects a config of st')
    assert 'Traceback' in (tmp_path / 'out/checks/1.log').read_text()
    make_sweep().check(jobs=2)
    assert journal() == []


def test_missing_files_are_named(make_sweep, rows, make_bank, tmp_path):
    with pytest.raises(FileNotFoundError, match="config expects an existing file, got 'no.py'"):
        make_sweep([Row('x', 'no.py')])
    with pytest.raises(FileNotFoundError, match='--stage1-checkpoint expects an existing file'):
        make_sweep(stage1='no.pth')
    with pytest.raises(FileNotFoundError, match='expects a folder with a checkpoint'):
        make_sweep(stage1=str(tmp_path))
    with pytest.raises(FeatureBankError, match='gone.pth .* not there any more'):
        Sweep(rows, [0], str(make_bank(checkpoint='gone.pth')), tmp_path)


def test_tables_are_written_of_what_there_is(make_sweep, journal, tmp_path):
    sweep = make_sweep()
    sweep.run(jobs=1)
    table = sweep.write()
    assert '| lr=0.2 (seeds [0]) |' in table and '| +10.0 |' in table
    assert (tmp_path / 'out/table.md').read_text() == table
    lines = (tmp_path / 'out/results.csv').read_text().splitlines()
    assert lines[0] == f'config,{LR},seed,AP,APr,cpu_seconds,peak_mb'
    assert lines[1] == 'stage2,0.1,0,10.0000,,2.00,700.00' and len(lines) == 4
    assert len((tmp_path / 'out/summary.csv').read_text().splitlines()) == 3
