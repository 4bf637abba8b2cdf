import json
import sys

import pytest

TOOL = 'dataset_tools/split_annotations.py'


@pytest.fixture
def run(load_tool, monkeypatch):
    tool = load_tool(TOOL)

    def run(*arguments):
        monkeypatch.setattr(sys, 'argv', [TOOL, *map(str, arguments)])
        tool.main()

    return run


def test_two_files_have_all_images_and_the_held_out_one_can_be_evaluated(run, tmp_path, capsys):
    path = tmp_path / 'train.json'
    path.write_text(json.dumps(dict(
        images=[dict(id=i, width=9, height=9, file_name=f'{i}.jpg', neg_category_ids=[],
                     not_exhaustive_category_ids=[]) for i in range(20)],
        annotations=[dict(id=i, image_id=i, category_id=1 + (i < 4), bbox=[0, 0, 9, 9], area=81,
                          iscrowd=0) for i in range(20)],
        categories=[dict(id=1, name='cat', frequency='c', image_count=16, instance_count=16),
                    dict(id=2, name='dog', frequency='r', image_count=4, instance_count=4)])))
    run(path, '--share', 0.25)
    part, held_out = (json.loads((tmp_path / f'train_{name}.json').read_text())
                      for name in ('part', 'held_out'))
    ids = [{image['id'] for image in side['images']} for side in (part, held_out)]
    assert ids[0] | ids[1] == set(range(20)) and not ids[0] & ids[1] and len(ids[1]) == 5
    assert [c['image_count'] for c in part['categories']] == [12, 3]
    assert {a['category_id'] for a in held_out['annotations']} == {1, 2}
    assert f'{tmp_path}/train_held_out.json: 5 images, 5 annotations, 2 of 2 classes' \
        in capsys.readouterr().out


def test_a_file_that_is_not_there_is_one_line(run, tmp_path):
    with pytest.raises(SystemExit, match='FileNotFoundError.*train.json'):
        run(tmp_path / 'train.json')


def test_a_file_without_annotations_is_one_line(run, tmp_path):
    (tmp_path / 'train.json').write_text(json.dumps(dict(images=[], categories=[])))
    with pytest.raises(SystemExit, match='with a list of annotations, got one without'):
        run(tmp_path / 'train.json')
