import json
import pickle

import pytest

# The classes and numbers of a published dataset of 3 classes; 'dog' is in group 2.
NAMES = ('cat', 'dog', 'emu')


@pytest.fixture
def source():
    """Content of a source: 40 images, image i with one cat, two dogs (i even), three emus (i < 10).

    Category ids are not contiguous, annotation and image ids not sorted.
    """
    categories = [{'id': i, 'name': name, 'supercategory': 'animal'}
                  for i, name in zip((2, 5, 9), NAMES, strict=True)]
    annotations = []
    for image_id in range(40):
        numbers = {2: 1, 5: 2 * (image_id % 2 == 0), 9: 3 * (image_id < 10)}
        for category_id, number in numbers.items():
            annotations += [{'image_id': image_id, 'category_id': category_id, 'iscrowd': 0}
                            for _ in range(number)]
    for index, annotation in enumerate(annotations):
        annotation['id'] = 1000 - index
    return {'info': {'year': 2017}, 'licenses': [], 'categories': categories,
            'images': [{'id': i, 'file_name': f'{i}.jpg', 'height': 8, 'width': 8}
                       for i in reversed(range(40))],
            'annotations': annotations}


@pytest.fixture
def write_source(tmp_path):
    """A function that writes annotations and returns the path."""

    def write(data, name='source.json'):
        path = tmp_path / name
        path.write_text(json.dumps(data))
        return path

    return write


@pytest.fixture
def write_index(tmp_path):
    """A function that writes an index in the form of SimCal's from (count, image ids) pairs."""

    def write(entries, name='index.pt'):
        path = tmp_path / name
        path.write_bytes(pickle.dumps({
            label: {'img_id': image_ids, 'image_info_id': list(range(len(image_ids))),
                    'isntance_count': count, 'category_id': label}
            for label, (count, image_ids) in enumerate(entries, start=1)}))
        return path

    return write
