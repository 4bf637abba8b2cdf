import copy
import hashlib
import json
import pickle

import bacl  # noqa: F401
import pytest
from bacl.datasets.coco_lt import COCO_LT, PublishedCounts, build_coco_lt
from mmdet.datasets import CocoDataset

# Of the source: cat 40 in 40 images, dog 40 in 20, emu 30 in 10.
TINY_B = PublishedCounts(0, {'cat': (30, 0), 'dog': (21, 0), 'emu': (5, 0)})
TINY_A = PublishedCounts(20, {'emu': (5, 2), 'cat': (20, 20), 'dog': (15, 8)})
INDEX = [(20, list(range(20))), (15, list(range(0, 16, 2))), (5, [7, 8])]


def content(summary):
    return json.loads(summary.out_file.read_text())


def counts_of(data):
    """Instances and images per class name, counted anew."""
    names = {category['id']: category['name'] for category in data['categories']}
    images = {name: [] for name in names.values()}
    for annotation in data['annotations']:
        images[names[annotation['category_id']]].append(annotation['image_id'])
    return {name: (len(ids), len(set(ids))) for name, ids in images.items()}


@pytest.fixture
def build(source, write_source, tmp_path):
    """Build from the source, which ``change`` may edit first."""

    def build(level='B', change=lambda data: None, out='out.json', **kwargs):
        data = copy.deepcopy(source)
        change(data)
        published = kwargs.pop('published', TINY_A if level in ('A', 'official') else TINY_B)
        return build_coco_lt(write_source(data), tmp_path / out, level, published=published,
                             **kwargs)

    return build


def test_level_b_has_the_published_instances(build):
    summary = build('B')
    counts = counts_of(content(summary))
    assert {name: instances for name, (instances, _) in counts.items()} == {
        'cat': 30, 'dog': 21, 'emu': 5}
    assert summary.num_instances == 56 and summary.group_sizes == (1, 2, 0, 0)


def test_level_a_has_the_published_instances_in_the_listed_images(build, write_index):
    data = content(build('A', simcal_index=write_index(INDEX)))
    assert counts_of(data) == {'cat': (20, 20), 'dog': (15, 8), 'emu': (5, 2)}
    emus = {a['image_id'] for a in data['annotations'] if a['category_id'] == 9}
    assert emus == {7, 8} and [image['id'] for image in data['images']] == list(range(20))


def test_level_c_falls_exponentially_for_any_classes(build):
    # Ranks: cat and dog (40 each), emu (30): 25, 10, 4.
    summary = build('C', lambda data: data['categories'][0].update(name='other'), max_count=25,
                    min_count=4)
    counts = counts_of(content(summary))
    assert [counts[name][0] for name in ('other', 'dog', 'emu')] == [25, 10, 4]


def test_official_file_keeps_every_annotation(build, source):
    published = PublishedCounts(40, counts_of(source))
    data = content(build('official', published=published))
    expected = sorted(source['annotations'], key=lambda each: each['id'])
    assert data['annotations'] == expected
    assert [c['lt_group'] for c in data['categories']] == [2, 2, 2]


@pytest.mark.parametrize('level', ['A', 'B', 'C'])
def test_file_is_sorted_and_says_what_it_contains(build, write_index, source, level):
    kwargs = {'A': dict(simcal_index=write_index(INDEX)), 'B': {},
              'C': dict(max_count=25, min_count=4)}[level]
    summary = build(level, **kwargs)
    data = content(summary)
    image_ids = [image['id'] for image in data['images']]
    annotation_ids = [annotation['id'] for annotation in data['annotations']]
    assert image_ids == sorted(set(image_ids)) and annotation_ids == sorted(set(annotation_ids))
    assert set(image_ids) == {annotation['image_id'] for annotation in data['annotations']}
    assert (summary.num_images, summary.num_instances) == (len(image_ids), len(annotation_ids))
    counts = counts_of(data)
    for category, original in zip(data['categories'], source['categories'], strict=True):
        instances, images = counts[category['name']]
        assert category == {**original, 'instance_count': instances, 'image_count': images,
                            'lt_group': 1 if instances < 20 else 2}
    assert data['licenses'] == []


def test_info_names_level_settings_and_inputs(build, write_index, tmp_path):
    index = write_index(INDEX)
    info = content(build('A', simcal_index=index, seed=3))['info']
    assert info == {'year': 2017, 'coco_lt': {
        'level': 'A', 'seed': 3,
        'source_sha256': hashlib.sha256((tmp_path / 'source.json').read_bytes()).hexdigest(),
        'simcal_index_sha256': hashlib.sha256(index.read_bytes()).hexdigest()}}
    assert content(build('C', max_count=9, min_count=1))['info']['coco_lt']['max_count'] == 9


def test_same_inputs_give_the_same_bytes_and_another_seed_other_annotations(build):
    first, again, other = (build(out='a.json'), build(out='b.json'), build(out='c.json', seed=1))
    assert first.out_file.read_bytes() == again.out_file.read_bytes()
    assert first.digest == again.digest == hashlib.sha256(again.out_file.read_bytes()).hexdigest()
    assert content(first)['annotations'] != content(other)['annotations']


def test_choice_does_not_depend_on_the_order_of_the_source(build):
    first = content(build())
    second = content(build(change=lambda data: (data['annotations'].reverse(),
                                                data['images'].reverse())))
    assert first['annotations'] == second['annotations'] and first['images'] == second['images']


def test_too_few_annotations_are_named_and_nothing_is_written(build, tmp_path):
    published = PublishedCounts(0, {'cat': (30, 0), 'dog': (41, 0), 'emu': (5, 0)})
    with pytest.raises(ValueError, match=r"needs 41 annotations of 'dog', got 40 in the source"):
        build('B', published=published)
    assert not list(tmp_path.glob('out.json*'))


@pytest.mark.parametrize('emus, text', [
    ((7, [7, 8]), r"needs 7 annotations of 'emu', got 6 in the images of the index"),
    ((5, [7, 8, 9]), r"has image_count 2 of 'emu', got 3"),
    ((4, [7, 8]), r"has instance_count 5 of 'emu', got 4"),
    ((5, [7, 11]), r"no 'emu' in 1 of the 2 images that the index lists, for instance 11"),
])
def test_index_that_leads_elsewhere_is_refused(build, write_index, emus, text):
    with pytest.raises(ValueError, match=text):
        build('A', simcal_index=write_index([*INDEX[:2], emus]))


def test_index_with_another_number_of_images_is_refused(build, write_index):
    published = PublishedCounts(21, TINY_A.of_class)
    with pytest.raises(ValueError, match=r'has 21 images, got 20'):
        build('A', simcal_index=write_index(INDEX), published=published)


def test_official_file_with_other_counts_is_refused(build, source):
    published = PublishedCounts(40, {**counts_of(source), 'dog': (40, 19)})
    with pytest.raises(ValueError, match=r"image_count 19 of 'dog', got 20"):
        build('official', published=published)


@pytest.mark.parametrize('level', ['A', 'B', 'official'])
def test_other_classes_are_refused(build, write_index, level):
    index = write_index(INDEX) if level == 'A' else None
    with pytest.raises(ValueError, match=r"expects the 3 classes of COCO.*\['emu', 'owl'\] differ"):
        build(level, lambda data: data['categories'][2].update(name='owl'), simcal_index=index)


@pytest.mark.parametrize('kwargs, text', [
    (dict(level='D'), r"level=\) expects one of .* got 'D'"),
    (dict(level='A'), r'simcal_index=.* got None'),
    (dict(level='B', simcal_index='index.pt'), r"simcal_index=.* level 'B'"),
    (dict(level='C'), r'max_count=, min_count=.* got None and None'),
    (dict(level='C', max_count=5, min_count=6), r'min_count=.* got 5 and 6'),
    (dict(level='C', max_count=5, min_count=0), r'min_count=.* got 5 and 0'),
    (dict(level='B', max_count=5), r"min_count=.* expects None except for level 'C'"),
    (dict(out='source.json'), r'out_file=\) expects another file'),
])
def test_arguments_that_do_not_fit_are_refused(build, kwargs, text):
    with pytest.raises(ValueError, match=text):
        build(**kwargs)


def test_folder_of_the_file_is_made_and_an_old_file_replaced(build, tmp_path):
    for _ in range(2):
        summary = build(out='new/folder/out.json')
        assert summary.out_file == tmp_path / 'new' / 'folder' / 'out.json'
    assert [path.name for path in summary.out_file.parent.iterdir()] == ['out.json']


@pytest.fixture(scope='module')
def full_size(tmp_path_factory):
    """A source with more than the published annotations, and the index of the published ones."""
    folder = tmp_path_factory.mktemp('full_size')
    categories, annotations, index = [], [], {}
    first_image = 0
    for label, name in enumerate(CocoDataset.METAINFO['classes'], start=1):
        instances, images = COCO_LT.of_class[name]
        # Neighbouring classes share few images, so that all images occur.
        first_image = min(first_image, COCO_LT.num_images - images)
        index[label] = {'isntance_count': instances, 'image_info_id': [],
                        'img_id': list(range(first_image, first_image + images))}
        categories.append({'id': label + 9, 'name': name})
        # 30 too many: 10 in the listed images and 20 in an image that is not listed.
        annotations += [(label + 9, first_image + number % images)
                        for number in range(instances + 10)]
        annotations += 20 * [(label + 9, COCO_LT.num_images)]
        first_image += images
    source = folder / 'source.json'
    source.write_text(json.dumps({
        'images': [{'id': i} for i in range(COCO_LT.num_images + 1)], 'categories': categories,
        'annotations': [{'id': i, 'category_id': category_id, 'image_id': image_id}
                        for i, (category_id, image_id) in enumerate(annotations)]}))
    (folder / 'index.pt').write_bytes(pickle.dumps(index))
    return folder


@pytest.mark.parametrize('level', ['A', 'B'])
def test_all_80_published_counts_are_reached(full_size, level):
    index = full_size / 'index.pt' if level == 'A' else None
    summary = build_coco_lt(full_size / 'source.json', full_size / 'out.json', level,
                            simcal_index=index)
    assert summary.num_instances == 666493 and summary.group_sizes == (4, 24, 32, 20)
    data = content(summary)
    for name, (instances, images) in counts_of(data).items():
        assert instances == COCO_LT.of_class[name][0]
        assert images == COCO_LT.of_class[name][1] or level == 'B'
    assert summary.num_images == COCO_LT.num_images or level == 'B'
