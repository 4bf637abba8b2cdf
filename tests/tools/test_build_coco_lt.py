import json
import sys

import pytest

TOOL = 'dataset_tools/build_coco_lt.py'


@pytest.fixture
def source(tmp_path):
    data = {
        'images': [{'id': i} for i in range(30)],
        'categories': [{'id': 1, 'name': 'cat'}, {'id': 2, 'name': 'dog'}],
        'annotations': [{'id': i, 'image_id': i % 30, 'category_id': 1 + (i >= 30)}
                        for i in range(60)],
    }
    path = tmp_path / 'source.json'
    path.write_text(json.dumps(data))
    return path


@pytest.fixture
def run(load_tool, tmp_path, monkeypatch, capsys):
    tool = load_tool(TOOL)

    def run(*arguments):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, 'argv', [TOOL, *map(str, arguments)])
        tool.main()
        return capsys.readouterr().out

    return run


def test_says_what_was_built_and_its_digest(run, source, tmp_path):
    arguments = ('--source', source, '--level', 'C', '--max-count', 25, '--min-count', 5)
    first = run(*arguments, '--out', tmp_path / 'a.json').splitlines()
    second = run(*arguments, '--out', tmp_path / 'b.json').splitlines()
    assert first[0] == f'{tmp_path}/a.json: level C'
    assert first[1].startswith('  30 annotations in ')
    assert first[2] == '  classes in groups 1 to 4: 1, 1, 0, 0'
    assert first[3].startswith('  digest: ') and first[3] == second[3]


def test_official_file_is_recognised_by_its_argument(run, source, tmp_path):
    # It is refused, because its classes are not COCO's; the source is not even looked for.
    with pytest.raises(SystemExit, match=r'ValueError: .*80 classes of COCO, got 2 in .*source'):
        run('--official', source, '--out', tmp_path / 'a.json')


@pytest.mark.parametrize('arguments, text', [
    ((), r'FileNotFoundError: .*instances_train2017\.json'),
    (('--level', 'A'), r'ValueError: .*simcal_index=.* got None'),
    (('--level', 'C', '--max-count', '5'), r'ValueError: .*got 5 and None'),
])
def test_error_is_one_line(run, arguments, text):
    with pytest.raises(SystemExit, match=text) as error:
        run(*arguments)
    assert '\n' not in str(error.value)


def test_unknown_level_is_refused(run, capsys):
    with pytest.raises(SystemExit):
        run('--level', 'D')
    assert "invalid choice: 'D'" in capsys.readouterr().err
