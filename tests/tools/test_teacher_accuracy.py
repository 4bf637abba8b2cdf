import sys

import numpy as np
import pytest


@pytest.fixture
def tool(load_tool):
    return load_tool('analysis_tools/teacher_accuracy.py')


def config(data, teacher):
    dataset = dict(type='LongTailLVISV1Dataset', data_root=str(data), pipeline=[], test_mode=True,
                   data_prefix=dict(img=''), ann_file='annotations/lvis_v1_train.json')
    return f'model = dict(teacher={teacher})\nval_dataloader = dict(dataset={dataset})\n'


def test_the_table_counts_the_boxes_of_each_group(tool, make_lvis, tmp_path, monkeypatch, capsys):
    file = tmp_path / 'config.py'
    file.write_text(config(make_lvis('v1'), dict(type='RandomTeacher')))
    monkeypatch.setattr(sys, 'argv', ['teacher_accuracy.py', str(file), '--min-side', '0'])
    tool.main()
    lines = capsys.readouterr().out.splitlines()
    head, _, *rows = [line for line in lines if line.startswith('|')]  # the dataset logs, too
    assert head == '| classes | boxes | top-1 | top-5 | top-10 |'
    rows = {row[0]: row[1:] for row in (line.strip('| ').split(' | ') for line in rows)}
    assert int(rows['all'][0]) == sum(int(rows[group][0]) for group in 'rcf') > 5
    assert rows['all'][2] == '100.0'  # three classes
    monkeypatch.setattr(sys, 'argv', ['teacher_accuracy.py', str(file), '--min-side', '1000'])
    tool.main()
    assert '| all | 0 | – | – | – |' in capsys.readouterr().out


def test_a_share_is_that_of_boxes_whose_class_is_among_the_first(tool, make_lvis):
    from bacl.datasets import LongTailLVISV1Dataset

    table = LongTailLVISV1Dataset(data_root=str(make_lvis('v1')), pipeline=[],
                                  data_prefix=dict(img=''),
                                  ann_file='annotations/lvis_v1_train.json').class_table()
    assert table.group_keys().tolist() == ['r', 'f', 'c']
    text = tool.format_accuracy(table, np.array([0, 0, 1, 2]), np.array([0, 3, 4, 9]), (1, 5))
    assert text.splitlines()[2:] == ['| all | 4 | 25.0 | 75.0 |', '| r | 2 | 50.0 | 100.0 |',
                                     '| c | 1 | 0.0 | 0.0 |', '| f | 1 | 0.0 | 100.0 |']


def test_borders_move_by_a_share_of_half_a_side(tool):
    boxes = np.array([[0., 0, 10, 40]]).repeat(1000, 0)
    shift = tool.moved(boxes, 0.5, np.random.default_rng(0)) - boxes
    limit = np.array([2.5, 10, 2.5, 10])
    assert (abs(shift) <= limit).all() and (abs(shift).max(0) > 0.95 * limit).all()
    assert (tool.moved(boxes, 0.0, np.random.default_rng(0)) == boxes).all()


def test_a_config_without_a_teacher_is_refused(tool, make_lvis, tmp_path, monkeypatch, capsys):
    file = tmp_path / 'config.py'
    file.write_text(config(make_lvis('v1'), None))
    monkeypatch.setattr(sys, 'argv', ['teacher_accuracy.py', str(file)])
    with pytest.raises(SystemExit):
        tool.main()
    assert 'expects a model with a teacher' in capsys.readouterr().err
