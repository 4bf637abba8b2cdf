import json

import bacl  # noqa: F401
import pytest
import torch
from bacl.models.indicators import ImageFrequency, InstanceFrequency

COUNTS = [2, 4, 1]
both = pytest.mark.parametrize('indicator_type', [ImageFrequency, InstanceFrequency])


@pytest.fixture
def ann_file(make_lvis):
    return make_lvis('v1') / 'annotations' / 'lvis_v1_train.json'


def test_counts_of_images_and_instances_come_from_an_annotation_file(ann_file):
    assert ImageFrequency(3, ann_file=ann_file).value().tolist() == [2, 4, 1]
    assert InstanceFrequency(3, ann_file=ann_file).value().tolist() == [2, 5, 1]


def test_annotations_are_counted_where_the_file_has_no_counts(ann_file):
    data = json.loads(ann_file.read_text())
    for category in data['categories']:
        del category['image_count'], category['instance_count']
    ann_file.write_text(json.dumps(data))
    # Category 3 (label 1) twice in image 1, once in images 2, 4 and 5.
    assert ImageFrequency(3, ann_file=ann_file).value().tolist() == [2, 4, 1]
    assert InstanceFrequency(3, ann_file=ann_file).value().tolist() == [2, 5, 1]


def test_annotation_file_of_another_number_of_classes_is_refused(ann_file):
    with pytest.raises(ValueError, match='expects 4 whole numbers'):
        ImageFrequency(4, ann_file=ann_file).value()


@both
@pytest.mark.parametrize('counts', [[1, 2], [1, 2, 3, 4], [[1, 2, 3]], 5, [1, -1, 2],
                                    [1, float('nan'), 2], [1, float('inf'), 2], [0.5, 0.2, 0.3]])
def test_something_else_than_one_count_per_class_is_refused(indicator_type, counts):
    with pytest.raises(ValueError, match=f'{indicator_type.__name__}\\(counts=\\) expects 3 whole'):
        indicator_type(3, counts=counts)


@both
def test_two_sources_in_the_config_are_refused(indicator_type, ann_file):
    with pytest.raises(ValueError, match='counts=, ann_file='):
        indicator_type(3, counts=COUNTS, ann_file=ann_file)


@both
@pytest.mark.parametrize('use', [lambda i: i.value(), lambda i: i.strength(),
                                 lambda i: i.log_ratio(torch.tensor([0]))])
def test_use_without_counts_names_the_three_ways(indicator_type, use):
    with pytest.raises(RuntimeError,
                       match=f'{indicator_type.__name__} has no counts.*counts=.*ann_file=.*'
                       'MethodHook'):
        use(indicator_type(3))


@both
def test_counts_are_in_the_checkpoint(indicator_type):
    trained, evaluated = indicator_type(3), indicator_type(3)
    trained.set_counts(COUNTS)
    evaluated.load_state_dict(trained.state_dict())
    assert evaluated.value().tolist() == COUNTS


@both
def test_a_checkpoint_without_counts_leaves_them_missing(indicator_type):
    indicator = indicator_type(3)
    indicator.load_state_dict({}, strict=False)
    assert not indicator.has_counts
    indicator.set_counts(COUNTS)
    indicator.load_state_dict({}, strict=False)
    assert indicator.value().tolist() == COUNTS
    indicator.load_state_dict(indicator_type(3).state_dict())
    with pytest.raises(RuntimeError, match='no counts'):
        indicator.value()


@both
def test_counts_of_the_config_win_over_those_of_a_checkpoint(indicator_type):
    indicator = indicator_type(3, counts=COUNTS)
    indicator.load_state_dict(indicator_type(3, counts=[7, 8, 9]).state_dict())
    assert indicator.value().tolist() == COUNTS


@both
def test_a_trained_model_does_not_need_its_annotation_file(indicator_type):
    indicator = indicator_type(3, ann_file='gone.json')
    indicator.load_state_dict(indicator_type(3, counts=COUNTS).state_dict())
    assert indicator.value().tolist() == COUNTS
    with pytest.raises(FileNotFoundError, match='gone.json'):
        indicator_type(3, ann_file='gone.json').value()


def test_larger_counts_are_larger_strengths_and_all_zero_is_no_strength():
    assert ImageFrequency(3, counts=COUNTS).strength().tolist() == [0.5, 1, 0.25]
    assert ImageFrequency(3, counts=[0, 0, 0]).strength().tolist() == [0, 0, 0]
