import json
import sys

import pytest
import torch
from bacl.annotations.class_trees import read_class_trees

TOOL = 'dataset_tools/build_class_trees.py'


@pytest.fixture
def run(load_tool, monkeypatch):
    tool = load_tool(TOOL)

    def run(*arguments):
        monkeypatch.setattr(sys, 'argv', [TOOL, *map(str, arguments)])
        tool.main()

    return run


@pytest.fixture
def ann_file(tmp_path):
    path = tmp_path / 'train.json'
    path.write_text(json.dumps(dict(
        images=[dict(id=1, width=90, height=90, file_name='1.jpg')],
        annotations=[dict(id=i, image_id=1, category_id=i % 4 + 1, area=81, iscrowd=0,
                          bbox=[0, 0, 9 + 40 * (i % 2), 9]) for i in range(8)],
        categories=[dict(id=i + 1, name=name, supercategory=name[-3:])
                    for i, name in enumerate(('red_cat', 'red_dog', 'old_cat', 'old_dog'))])))
    return path


def test_trees_of_all_kinds_are_written_and_their_sizes_printed(run, ann_file, tmp_path, capsys):
    # Background last, as in mmdet's heads; of a cascade the last classifier.
    weight = torch.tensor([[1.0, 0], [1, 0.1], [0, 1], [0.1, 1], [-1, -1]])
    torch.save(dict(state_dict={'roi_head.bbox_head.0.fc_cls.weight': weight.flip(1)[[0, 2, 1, 3]],
                                'roi_head.bbox_head.1.fc_cls.weight': weight}), tmp_path / 'a.pth')
    run(ann_file, '--checkpoint', tmp_path / 'a.pth', '--visual', 2, '--geometric', 2,
        '--lexical-field', 'supercategory')
    path = tmp_path / 'class_trees.json'
    assert f'{path}: visual, geometric, lexical; num_parents=(2, 2, 2)' in capsys.readouterr().out
    assert read_class_trees(path, 4, (2, 2, 2)).tolist() == [
        [0, 0, 1, 1], [0, 1, 0, 1], [0, 1, 0, 1]]


def test_without_a_checkpoint_there_is_no_visual_tree(run, ann_file, tmp_path):
    run(ann_file, '--geometric', 2, '--lexical', 2, '--out', tmp_path / 'trees.json')
    trees = json.loads((tmp_path / 'trees.json').read_text())
    assert [tree['name'] for tree in trees] == ['geometric', 'lexical']


def test_a_checkpoint_of_other_classes_is_one_line(run, ann_file, tmp_path):
    torch.save({'fc_cls.weight': torch.zeros(3, 2)}, tmp_path / 'a.pth')
    with pytest.raises(SystemExit, match='ValueError: .*a row for each of 4 classes'):
        run(ann_file, '--checkpoint', tmp_path / 'a.pth')
