import sys
from types import SimpleNamespace

import bacl  # noqa: F401
import numpy as np
import pytest
from bacl.evaluation import Detections


@pytest.fixture
def call(load_tool, monkeypatch):
    """A function that runs a tool with arguments; what it calls is recorded, not done."""

    def run(path, names, *arguments):
        tool, calls = load_tool(f'analysis_tools/{path}'), {}
        for name, result in names.items():
            def record(*args, name=name, result=result):
                calls[name] = args
                if isinstance(result, Exception):
                    raise result
                return result

            monkeypatch.setattr(tool, name, record)
        monkeypatch.setattr(sys, 'argv', [path, *arguments])
        tool.main()
        return calls

    return run


FILES = [SimpleNamespace(name='a'), SimpleNamespace(name='b')]


def names(**others):
    return dict(find_runs=FILES, read_runs=('validation', 'runs'), read_training_images='images',
                read_pyramid='pyramid', write_run_report='out/index.html', **others)


def test_report_of_runs_is_written_and_its_path_shown(call, capsys):
    calls = call('report.py', names(), 'x', 'n=y', '--out', 'out', '--draws', '7', '--seed', '3')
    assert calls['find_runs'] == (['x', 'n=y'], )
    assert calls['read_training_images'] == (FILES[0], )
    folder, *rest = calls['write_run_report']
    assert str(folder) == 'out'
    assert rest == ['validation', 'runs', 'images', 'pyramid', 7, 3]
    assert capsys.readouterr().out == 'Report: out/index.html\n'


def test_lost_training_annotations_are_told_and_leave_their_section_out(call, capsys):
    results = {**names(), 'read_training_images': FileNotFoundError('train.json is not there.')}
    calls = call('report.py', results, 'x', '--out', 'out')
    assert calls['write_run_report'][3] == 'Left out: train.json is not there.'
    assert 'train.json' in capsys.readouterr().err


@pytest.mark.parametrize(('tool', 'first'), [
    ('report.py', 'find_runs'), ('dataset_report.py', 'read_images'), ('export.py', 'find_runs')])
def test_bad_input_ends_with_its_message(call, tool, first):
    with pytest.raises(SystemExit, match='^FileNotFoundError: a.json is not there.$'):
        call(tool, {first: FileNotFoundError('a.json is not there.')}, 'a', 'b', '--out', 'out')


@pytest.mark.parametrize('tool', ['report.py', 'dataset_report.py', 'export.py'])
@pytest.mark.parametrize('package', ['pandas', 'plotly', 'jinja2', 'itables'])
def test_a_missing_package_is_named_with_the_cure(load_tool, monkeypatch, tool, package):
    for name in list(sys.modules):
        if name.startswith(('bacl.report', f'{package}.')):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)  # cannot be imported
    with pytest.raises(SystemExit, match=f'^Reports expect the package {package} .*pip install'):
        load_tool(f'analysis_tools/{tool}')


def test_report_of_a_data_set(call, capsys):
    calls = call('dataset_report.py', dict(read_images='images', write_dataset_report='p.html'),
                 'a.json', 'img', '--out', 'out')
    assert calls['read_images'] == ('a.json', 'img')
    assert calls['write_dataset_report'][1] == 'images'
    assert capsys.readouterr().out == 'Report: p.html\n'


def test_export_writes_both_formats(call, capsys):
    detections = Detections(np.array([1, 1]), np.array([2, 3]), np.array([0.5, 0.4]),
                            np.array([4., 4.]), np.array([[0., 0, 2, 2], [1, 1, 2, 2]]))
    runs = {'a run': (detections, 'matches')}
    calls = call('export.py', dict(find_runs=FILES, read_detections=('validation', runs),
                                   write_fiftyone='out/fiftyone', write_records=None),
                 'x', 'n=y', '--out', 'out', '--score-thr', '0.2', '--max-dets', '9')
    assert calls['find_runs'] == (['x', 'n=y'], )
    folder, *rest = calls['write_fiftyone']
    assert str(folder) == 'out/fiftyone' and rest == ['validation', runs, 0.2, 9]
    path, records = calls['write_records']
    assert str(path) == 'out/coco/a_run.json'
    assert list(records)[1] == dict(image_id=1, category_id=3, score=0.4, bbox=[1, 1, 2, 2])
    shown = capsys.readouterr().out
    assert '2 detections of a run: out/coco/a_run.json' in shown
    assert 'fo.types.FiftyOneDataset' in shown
