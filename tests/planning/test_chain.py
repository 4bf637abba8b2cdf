import json

import pytest
from bacl.engine.running import steps
from bacl.planning.chain import Chain, digest_of_file, format_table

NAMES = [f'{i:03d}.jpg' for i in range(13)]


@pytest.fixture
def made(plan, coco, write_images):
    """A plan of the small detector."""
    return plan(coco(NAMES), write_images(NAMES), epochs=3)


@pytest.fixture
def done(monkeypatch):
    """The steps that were run: they leave their output, and tests the numbers of their run."""
    found = []

    def run_step(step, log_dir, report):
        found.append(step)
        step.output.parent.mkdir(parents=True, exist_ok=True)
        ap = 0.1 * len(found)
        step.output.write_text(json.dumps({
            'coco_lt/bbox_AP': ap, 'coco_lt/bbox_AP1': None, 'coco_lt/bbox_AP2': ap}))

    monkeypatch.setattr(steps, 'run_step', run_step)
    return found


def test_steps_are_run_in_order_and_once(made, done, tmp_path):
    lines = []
    results = Chain.of_folder(made.folder, report=lines.append).run()
    assert [step.name for step in done] == [
        'stage 1', 'baseline', 'BACL', 'test stage 1', 'test baseline', 'test BACL', 'calibration',
        'test NorCal', 'report']
    folder, configs = tmp_path / 'work_dirs/world', made.configs
    train, calibrate, test, report = (done[i].command[1:] for i in (2, 6, 7, 8))
    assert train[0] == 'tools/train.py' and train[1].endswith(f'{configs["stage2"]}.py')
    assert '--auto-scale-lr' not in train
    assert calibrate[0] == 'tools/calibrate.py' and calibrate[2].endswith('sce_world/epoch_4.pth')
    assert test[1].endswith('calibration/faster-rcnn_effnet-lite0_fpn_sce_world_NorCal.py')
    assert report[1:5] == [
        f'baseline=work_dirs/world/{configs["baseline"]}',
        f'baseline + NorCal=work_dirs/world/{configs["baseline"]}_NorCal',
        f'stage 1=work_dirs/world/{configs["stage1"]}', f'BACL=work_dirs/world/{configs["stage2"]}']
    assert results['baseline']['AP'] == pytest.approx(0.5)
    assert json.loads((folder / 'results.json').read_text())['BACL']['AP1'] is None
    assert '| stage 1           | 40.0 |' in (folder / 'table.md').read_text()
    assert any(line.startswith('[') or 'seed 0' in line for line in lines)
    again = Chain.of_folder(made.folder, report=lines.append).run()
    assert len(done) == 9 and again == results


def test_other_data_or_another_number_of_gpus_start_anew(made, done, tmp_path):
    chain = Chain.of_folder(made.folder, report=lambda line: None)
    chain.run()
    for name in made.configs.values():  # what an older run left is removed by the next
        assert list((tmp_path / 'work_dirs/world' / name).glob('*.pth'))
    Chain.of_folder(made.folder, 2, report=lambda line: None).run()
    assert len(done) == 18
    assert done[9].command[:2] == ['bash', 'tools/dist_train.sh'] and done[9].command[3] == '2'
    assert '--auto-scale-lr' in done[9].command  # the plan is for one process
    path = chain.plan['ann_files'][0]
    data = json.loads((tmp_path / path).read_text())
    (tmp_path / path).write_text(json.dumps(dict(data, info='new')))
    Chain.of_folder(made.folder, report=lambda line: None).run()
    assert len(done) == 27


def test_what_is_missing_is_named(made, tmp_path):
    with pytest.raises(FileNotFoundError, match='has no plan.json'):
        Chain.of_folder(tmp_path)
    with pytest.raises(ValueError, match='GPUS expects a number from 1 on, got 0'):
        Chain.of_folder(made.folder, 0)
    with pytest.raises(FileNotFoundError, match='gone.json of the plan does not exist'):
        digest_of_file(tmp_path / 'gone.json')


def test_without_the_packages_of_the_report_the_rest_is_done(made, done, monkeypatch):
    def lacking(*_):
        raise ImportError('Reports expect the package plotly.')

    monkeypatch.setattr('bacl.planning.chain.require_packages', lacking)
    lines = []
    Chain.of_folder(made.folder, report=lines.append).run()
    assert done[-1].name == 'test NorCal'
    assert any('left out: Reports expect the package plotly' in line for line in lines)


def test_table_names_its_groups():
    table = format_table({'baseline': {'AP': 0.2, 'APr': None}, 'BACL': {'AP': 0.25, 'APr': 0.1}},
                         {'r': 'rare'})
    assert table.splitlines()[0] == '|          |   AP | APr (rare) |'
    assert table.splitlines()[2:] == ['| baseline | 20.0 |        n/a |',
                                      '| BACL     | 25.0 |       10.0 |']
