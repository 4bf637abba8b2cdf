import json
from pathlib import Path

import pytest
from bacl.datasets.image_level.records import read_records

# The classes of the detection data are yoke, acorn, zebra.
LVIS = dict(categories=[dict(id=9, name='zebra'), dict(id=4, name='acorn')],
            images=[dict(id=1, file_name='acorn/a.jpg', pos_category_ids=[4]),
                    dict(id=2, file_name='zebra/c.jpg', pos_category_ids=[9, 4],
                         region=[1, 2, 3, 4])])


def labels(dataset):
    return {Path(info['img_path']).name: info['image_label']
            for info in map(dataset.get_data_info, range(len(dataset)))}


def test_a_folder_a_list_and_an_lvis_file_give_labels_by_the_names_of_classes(build):
    assert labels(build()) == {'a.jpg': 1, 'b.png': 1, 'c.jpg': 2}
    listed = build('acorn/a.jpg\tacorn\n\nzebra/c.jpg\tzebra\t1\t2\t3\t4.5\nacorn/b.png\n')
    assert labels(listed) == {'a.jpg': 1, 'c.jpg': 2, 'b.png': -1}
    assert listed.get_data_info(1)['region'] == (1, 2, 3, 4.5)
    assert labels(build(LVIS)) == {'a.jpg': 1, 'c.jpg': 2}  # of several the first
    assert build().metainfo['classes'] == ('yoke', 'acorn', 'zebra')
    assert all(Path(info['img_path']).is_file() and info['source'] == 'image_level'
               for info in map(build().get_data_info, range(3)))


def test_the_suffix_of_a_json_file_may_be_in_capitals(tmp_path):
    (tmp_path / 'list.JSON').write_text(json.dumps(LVIS))
    assert [record.classes for record in read_records(tmp_path / 'list.JSON').records] == [
        ('acorn',), ('zebra', 'acorn')]


def test_a_list_is_text_in_utf_8(tmp_path):
    (tmp_path / 'list.txt').write_bytes('a.jpg\tcafé\n'.encode('latin-1'))
    with pytest.raises(ValueError, match=r'list\.txt is not text in UTF-8'):
        read_records(tmp_path / 'list.txt')


def test_labels_can_be_forgotten_and_then_need_no_known_class(build, images):
    (images / 'zebra').rename(images / 'unicorn')
    dataset = build(with_labels=False)
    assert set(labels(dataset).values()) == {-1}
    assert dataset.get_cat_ids(0) == []


@pytest.mark.parametrize(('content', 'message'), [
    ('a.jpg\tunicorn\n', "unknown-class, 1: .*'unicorn'.*Correct their names"),
    ('a.jpg\tacorn\nb.jpg\nb.jpg\tzebra\n', r'repeated-image, 1: .*b\.jpg.*List each image once'),
    ('a.jpg\tacorn\n./a.jpg\tzebra\n', r'repeated-image, 1: .*\./a\.jpg'),
    ('', 'no-images'),
    ('acorn/a.jpg acorn\n', r'bad-row, 1: .*\(row 1\).*a path with a space'),
    ('a.jpg\tacorn\t1\t2\t3\n', r'bad-row, 1: .*\(row 1\)'),
    ('a.jpg\tacorn\t3\t2\t3\t4\n', 'bad-row, 1'),  # no width
    ('a.jpg\tacorn\tx\ty\tz\t4\n', 'bad-row, 1'),
    (dict(LVIS, images=[dict(id=7, file_name='a.jpg', pos_category_ids=[5])]),
     r'bad-row, 1: .*\(image 7\)'),
    (dict(LVIS, images=[dict(id=7, pos_category_ids=[4])]), r'bad-row, 1: .*\(image 7\)'),
    (dict(LVIS, images=[dict(id=7, file_name=' ', pos_category_ids=[4])]), r'\(image 7\)'),
    (dict(LVIS, images=['a.jpg']), r'bad-row, 1: .*\(image number 0\)'),
    (dict(images=[]), "no 'categories'"),
    (dict(LVIS, categories=[dict(id=1)]), 'categories with id and name'),
    *((dict(LVIS, categories=[dict(id=4, name='acorn'), category]), 'an id and a name of its own')
      for category in (dict(id=4, name='zebra'), dict(id=9, name='acorn'), dict(id=9, name=' '),
                       dict(id=9, name=['zebra']))),
])
def test_bad_data_are_refused_with_the_cure(build, content, message):
    with pytest.raises(ValueError, match=message):
        build(content)


def test_what_a_folder_should_not_have_is_named(build, images):
    (images / 'readme.txt').write_text('')
    (images / 'acorn' / 'notes').write_text('')
    with pytest.raises(ValueError, match=r'bad-row, 2: .*acorn/notes is no image.*readme\.txt is'):
        build()


def test_the_unusual_is_counted_in_the_log(build, monkeypatch):
    lines = []
    monkeypatch.setattr('bacl.datasets.image_level.dataset.print_log',
                        lambda text, **kwargs: lines.append(text))
    build(LVIS)
    assert 'several-classes, 1' in lines[0] and "absent-class, 1" in lines[0]
    assert "'yoke'" in lines[0]


def test_an_unreadable_picture_is_named(build, images):
    dataset = build(pipeline=[dict(type='LoadImageFromFile')])
    assert dataset[0]['img'].shape == (20, 30, 3)
    (images / 'acorn' / 'a.jpg').write_bytes(b'no picture')
    with pytest.raises(ValueError, match=r'acorn/a\.jpg \(10 bytes\) cannot be decoded'):
        dataset[0]
