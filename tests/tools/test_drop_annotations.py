import json
import sys
from collections import Counter

import pytest
from bacl.annotations.splitting import drop_annotations

TOOL = 'dataset_tools/drop_annotations.py'


@pytest.fixture
def path(tmp_path):
    """Sixty cats on twenty images, four dogs, one emu."""
    annotations = [dict(id=i, image_id=i % 20, bbox=[0, 0, 9, 9], area=81, iscrowd=0,
                        category_id=1 if i < 60 else 2 if i < 64 else 3) for i in range(65)]
    categories = [dict(id=i + 1, name=name, frequency='fcr'[i], image_count=images,
                       instance_count=instances) for i, (name, images, instances) in enumerate([
                           ('cat', 20, 60), ('dog', 4, 4), ('emu', 1, 1)])]
    path = tmp_path / 'train.json'
    path.write_text(json.dumps(dict(
        images=[dict(id=i, width=9, height=9, file_name=f'{i}.jpg') for i in range(20)],
        annotations=annotations, categories=categories)))
    return path


def run(load_tool, monkeypatch, *arguments):
    monkeypatch.setattr(sys, 'argv', [TOOL, *map(str, arguments)])
    load_tool(TOOL).main()


def test_a_share_goes_and_every_class_keeps_one(load_tool, monkeypatch, path, capsys):
    run(load_tool, monkeypatch, path, '--share', 0.8)
    data, kept = (json.loads(file.read_text()) for file in (
        path, path.with_name('train_dropped-0.8_seed-0.json')))
    assert len(kept['annotations']) == 13 and '13 of 65 annotations' in capsys.readouterr().out
    assert kept['images'] == data['images']
    assert all(annotation in data['annotations'] for annotation in kept['annotations'])
    counts = Counter(a['category_id'] for a in kept['annotations'])
    assert counts[3] == 1 and set(counts) == {1, 2, 3}
    assert [c['instance_count'] for c in kept['categories']] == [counts[1], counts[2], counts[3]]
    assert [c['image_count'] for c in kept['categories']] == [
        len({a['image_id'] for a in kept['annotations'] if a['category_id'] == i})
        for i in (1, 2, 3)]
    assert [c['frequency'] for c in kept['categories']] == ['f', 'c', 'r']


def test_more_is_dropped_of_the_same_and_never_the_last_of_a_class(path):
    data = json.loads(path.read_text())
    kept = [{a['id'] for a in drop_annotations(data, share)['annotations']}
            for share in (0.2, 0.5, 0.999)]
    assert kept[0] > kept[1] > kept[2] and len(kept[2]) == 3
    assert {a['id'] for a in drop_annotations(data, 0.5, seed=1)['annotations']} != kept[1]
    assert len(data['annotations']) == 65


def test_bad_arguments_are_one_line(load_tool, monkeypatch, path):
    with pytest.raises(SystemExit, match='share=.* between 0 and 1, got 1.0'):
        run(load_tool, monkeypatch, path, '--share', 1)
    with pytest.raises(SystemExit, match='--out expects another file'):
        run(load_tool, monkeypatch, path, '--out', path)
    for content in (dict(images=[], categories=[]), []):
        path.write_text(json.dumps(content))
        with pytest.raises(SystemExit, match='COCO or LVIS format, with a list of'):
            run(load_tool, monkeypatch, path)
