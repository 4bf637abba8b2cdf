import json
import pickle

import numpy as np
import pytest
import torch
from bacl.evaluation import evaluate_lvis
from bacl.report.measures.box_geometry import Pyramid
from bacl.report.results import average_precision, group_averages
from bacl.report.run_files import (
    find_runs,
    read_detections,
    read_images,
    read_pyramid,
    read_runs,
    read_training_images,
    short_names,
)

CONFIG = '''
def dataset(split):
    return dict(type='{dataset}', data_root='{root}', ann_file=split + '.json',
                data_prefix=dict(img='img'), pipeline=[
                    dict(type='RandomResize', scale=[(1333, 640), (1333, 800)])])

train_dataloader = dict(dataset=dict(type='RepeatDataset', times=2, dataset=dataset('train')))
test_dataloader = dict(dataset=dataset('val'))
test_evaluator = [dict(type='DumpDetResults', out_file_path='x.pkl'), dict(
    type='{metric}', ann_file='{root}/val.json', max_dets={max_dets}, {more})]
model = dict(roi_head=dict(bbox_roi_extractor=dict(featmap_strides=[4, 8], finest_scale=28)))
'''


def annotations(num_images=3):
    objects = [(image, category) for image in range(1, num_images + 1) for category in (7, 5)]
    return dict(
        images=[dict(id=i, width=60, height=60, coco_url=f'{i}.png', file_name=f'{i}.png',
                     neg_category_ids=[], not_exhaustive_category_ids=[])
                for i in range(1, num_images + 1)],
        # Label 0 has the larger id.
        categories=[dict(id=7, name='rare', frequency='r', image_count=3, instance_count=3),
                    dict(id=5, name='many', frequency='f', image_count=3, instance_count=3)],
        annotations=[dict(id=n, image_id=image, category_id=category, iscrowd=0, area=100,
                          bbox=[10 * (category - 4), 10, 10, 10])
                     for n, (image, category) in enumerate(objects, start=1)])


@pytest.fixture
def data(tmp_path):
    for split in ('train', 'val'):
        (tmp_path / f'{split}.json').write_text(json.dumps(annotations()))
    return tmp_path


def samples(label_of_rare=0, image_ids=(1, 2, 3), **fields):
    """Both objects of each image, the rare one with some label; fields that are something else."""
    return [dict(img_id=image_id, pred_instances=dict(
        {'bboxes': torch.tensor([[30., 10., 40., 20.], [10., 10., 20., 20.]]),
         'scores': torch.tensor([0.9, 0.8]), 'labels': torch.tensor([label_of_rare, 1]), **fields}))
        for image_id in image_ids]


@pytest.fixture
def make_run(data):
    """A function that writes the files of a run and returns its work_dir."""

    def make(name, predictions=None, dataset='LongTailLVISV1Dataset', metric='FastLVISMetric',
             max_dets=300, more='', root=data):
        folder = data / name
        (folder / 'test').mkdir(parents=True)
        (folder / 'config.py').write_text(CONFIG.format(
            root=root, dataset=dataset, metric=metric, max_dets=max_dets, more=more))
        (folder / 'test/predictions.pkl').write_bytes(pickle.dumps(
            samples() if predictions is None else predictions))
        return str(folder)

    return make


def test_predictions_of_a_run_have_the_ap_of_its_test(make_run, data):
    validation, (run, ) = read_runs(find_runs([make_run('a', samples(label_of_rare=1))]))
    records = [dict(image_id=image, category_id=5, score=score, bbox=[x, 10, 10, 10])
               for image in (1, 2, 3) for x, score in ((30, 0.9), (10, 0.8))]
    expected = evaluate_lvis(data / 'val.json', records)
    ap = group_averages(average_precision(run.matches).mean(axis=0), run.matches)
    np.testing.assert_allclose([ap['all'], ap['r'], ap['f']],
                               [expected[name] for name in ('AP', 'APr', 'APf')])
    np.testing.assert_equal(run.result.summary(), expected)
    assert 0 < expected['APf'] < 1 and expected['APr'] == 0
    assert (validation.benchmark, validation.max_dets) == ('LVIS', 300)
    assert validation.classes.names == ('many', 'rare')
    assert validation.image_path(dict(coco_url='1.png')) == str(data / 'img/1.png')


def test_all_detections_of_a_run_are_read_and_its_files_named(make_run, data):
    files = find_runs([make_run('a'), make_run('b b', samples(label_of_rare=1))])
    validation, found = read_detections(files)
    assert list(found) == ['a', 'b b'] and validation.max_dets == 300
    detections, matches = found['b b']
    assert detections.category_id.tolist() == [5] * 6 and len(matches) == 6
    _, (_, run) = read_runs(files)
    np.testing.assert_equal(run.fixed.summary(), run.result.summary())  # no cap is reached
    assert (run.paths.config, run.paths.checkpoint) == (f"'{data}/b b/config.py'", 'CHECKPOINT')


def test_coco_lt_has_the_groups_of_training(make_run):
    run = make_run('a', dataset='CocoLTDataset', metric='CocoLTMetric', max_dets=100,
                   more="train_ann_file='{root}/train.json', group_thresholds=(4, )")
    config = find_runs([run])[0].config
    config.write_text(config.read_text().replace("'{root}", f"'{config.parent.parent}"))
    validation, (run, ) = read_runs(find_runs([run]))
    assert validation.benchmark == 'COCO-LT'
    assert validation.classes.group_keys().tolist() == ['1', '1']
    assert [group.label for group in validation.classes.groups] == ['below 4', '4 or more']
    assert run.matches.is_cap_per_class and run.result.summary()['AP1'] == pytest.approx(1)


def test_training_set_and_pyramid_are_those_of_the_config(make_run, data):
    files, = find_runs([make_run('a')])
    assert read_training_images(files).ann_file == str(data / 'train.json')
    assert read_pyramid(files) == Pyramid((1333, 800), (4, 8), 28)
    (data / 'train.json').unlink()
    with pytest.raises(FileNotFoundError, match=r'train\.json does not exist'):
        read_training_images(files)


MINE = """
import torch
from mmdet.registry import MODELS
from torch import nn

class Parrot(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer('said', torch.zeros(2))

    def strength(self):
        return self.said / 100

@MODELS.register_module(force=True)
class Tiny(nn.Module):
    def __init__(self, roi_head, with_indicator=True):
        super().__init__()
        self.roi_head, self.roi_head.bbox_head = nn.Module(), nn.Module()
        self.roi_head.bbox_head.fc_cls = nn.Linear(2, 3)
        if with_indicator:
            self.my_indicator = Parrot()
"""


@pytest.fixture
def make_trained_run(make_run, data, monkeypatch):
    """A function that adds a model of somebody else, with an indicator, and its checkpoints."""

    def make(name, checkpoints, settings=''):
        folder = make_run(name)
        (data / 'somebodys_model.py').write_text(MINE)
        monkeypatch.syspath_prepend(str(data))
        config = data / name / 'config.py'
        config.write_text(f"{config.read_text()}\nmodel.update(type='Tiny'{settings})\n"
                          "custom_imports = dict(imports=['somebodys_model'])\n")
        for epoch, state in checkpoints.items():
            torch.save(dict(state_dict=state), data / name / f'epoch_{epoch}.pth')
        return folder

    return make


def state_of(epoch, said=True):
    state = {'roi_head.bbox_head.fc_cls.weight': torch.full((3, 2), float(epoch)),
             'roi_head.bbox_head.fc_cls.bias': torch.zeros(3), 'other': torch.zeros(1)}
    return {**state, 'my_indicator.said': torch.tensor([0., epoch])} if said else state


def test_checkpoints_tell_what_the_modules_of_the_model_say(make_trained_run, data):
    folder = make_trained_run('a', {epoch: state_of(epoch) for epoch in (1, 2, 10)})
    (data / 'a/imbalance.npz').touch()
    _, (run, ) = read_runs(find_runs([folder]))
    assert list(run.checkpoints) == [10, 2, 1]
    for epoch, state in run.checkpoints.items():
        assert state.norms[0].tolist() == pytest.approx([epoch * 2**0.5] * 2)
        indicator, = state.indicators
        assert indicator.kind == 'parrot' and indicator.strength == pytest.approx([0, epoch / 100])
    assert run.record == data / 'a/imbalance.npz'


def test_of_a_run_without_an_indicator_the_last_checkpoint_is_read(make_trained_run):
    folder = make_trained_run('a', {epoch: state_of(epoch, said=False) for epoch in (1, 2)},
                              ', with_indicator=False')
    _, (run, ) = read_runs(find_runs([folder]))
    assert list(run.checkpoints) == [2] and run.checkpoints[2].indicators == []


@pytest.mark.parametrize('state, settings, message', [
    (state_of(1, said=False), '', r'epoch_1\.pth lacks my_indicator\.said of .*config\.py'),
    ({**state_of(1), 'my_indicator.said': torch.zeros(5)}, '', r'epoch_1\.pth does not fit'),
    (state_of(1), ", unknown='x'", r'config\.py cannot be built.*unknown')])
def test_a_checkpoint_that_is_not_of_its_config_is_refused(make_trained_run, state, settings,
                                                           message):
    with pytest.raises(ValueError, match=message):
        read_runs(find_runs([make_trained_run('a', {1: state}, settings)]))


def test_names_are_given_or_what_tells_folders_apart(make_run):
    x, y = make_run('c_mini_x'), make_run('c_mini_y')
    assert [run.name for run in find_runs([x, y])] == ['x', 'y']
    assert [run.name for run in find_runs([x, f'BACL={y}'])] == ['x', 'BACL']
    assert short_names(['a', 'a_b']) == ['a', 'a_b']
    assert short_names(['a_b']) == ['a_b']
    with pytest.raises(ValueError, match=r"different names, got \['n'\].*NAME=WORK_DIR"):
        find_runs([f'n={x}', f'n={y}'])


def test_a_folder_with_an_equals_sign_is_a_folder(make_run):
    assert find_runs([make_run('lr=1')])[0].name == 'lr=1'


def test_all_that_is_missing_is_named_with_the_command_that_makes_it(make_run, data):
    untested, untrained = make_run('untested'), make_run('untrained')
    for folder in (untested, untrained):
        (data / folder / 'test/predictions.pkl').unlink()
    (data / 'untested/epoch_3.pth').touch()
    (data / 'empty').mkdir()
    with pytest.raises(FileNotFoundError) as raised:
        find_runs([untested, untrained, str(data / 'empty'), str(data / 'nowhere'),
                   make_run('complete')])
    lines = str(raised.value).splitlines()
    assert len(lines) == 4
    test = 'python tools/test.py {0}/config.py {1} --work-dir {0}/test --out {0}/test/predictions.'
    assert test.format(untested, f'{untested}/epoch_3.pth') in lines[0]
    assert f'train.py {untrained}/config.py --work-dir {untrained}, then ' in lines[1]
    assert test.format(untrained, 'CHECKPOINT') in lines[1]
    assert "empty': a folder without a config" in lines[2] and 'Train first' in lines[2]
    assert "nowhere': no such folder" in lines[3]


def test_runs_on_different_data_are_not_compared(make_run, data):
    first = make_run('first')
    with pytest.raises(ValueError, match="'first' and 'cap' cannot be compared: their caps"):
        read_runs(find_runs([first, make_run('cap', max_dets=30)]))
    other = data / 'elsewhere'
    other.mkdir()
    (other / 'val.json').write_text(json.dumps(annotations(num_images=4)))
    with pytest.raises(ValueError, match="'first' and 'more' cannot be compared: their images"):
        read_runs(find_runs([first, make_run('more', root=other)]))


@pytest.mark.parametrize('predictions, found', [
    (samples(label_of_rare=2), 'got 2 in image 1'),
    (samples(image_ids=(1, 9)), 'unknown: 9'),
    (samples(image_ids=(1, 1.5)), '1.5'),
    (samples(scores=torch.tensor([0.9, float('nan')])), 'scores of image 1'),
    (samples(bboxes=torch.ones(2, 5)), 'bboxes of image 1'),
])
def test_predictions_of_other_data_are_refused(make_run, predictions, found):
    with pytest.raises(ValueError, match=f'{found}.*Test again: python tools/test.py'):
        read_runs(find_runs([make_run('a', predictions)]))


def test_a_foreign_metric_or_dataset_is_refused(make_run):
    with pytest.raises(ValueError, match='test_evaluator expects a FastLVISMetric or CocoLTMetric'):
        read_runs(find_runs([make_run('a', metric='CocoMetric')]))
    with pytest.raises(ValueError, match="test_dataloader.*got 'CocoDataset'"):
        read_runs(find_runs([make_run('b', dataset='CocoDataset')]))


def test_no_predictions_at_all_are_an_ap_of_zero(make_run):
    _, (run, ) = read_runs(find_runs([make_run('a', [])]))
    assert run.result.summary()['AP'] == 0


@pytest.mark.parametrize('change, name, path', [
    (lambda data: data, '1.png', 'img/1.png'),
    (lambda data: [image.pop('file_name') for image in data['images']], '1.png', 'img/1.png'),
    (lambda data: [category.pop('frequency') for category in data['categories']], '1.png',
     'img/1.png'),
])
def test_a_data_set_without_config_is_known_by_its_fields(tmp_path, change, name, path):
    content = annotations()
    change(content)
    (tmp_path / 'a.json').write_text(json.dumps(content))
    images = read_images(str(tmp_path / 'a.json'), str(tmp_path / 'img'))
    assert images.image_path(content['images'][0]) == str(tmp_path / path)
    assert images.classes.num_classes == 2 and images.classes.groups


def test_a_file_of_another_format_is_refused(tmp_path):
    (tmp_path / 'a.json').write_text('{"images": []}')
    with pytest.raises(ValueError, match=r"a\.json is not COCO: it has no list 'annotations'"):
        read_images(str(tmp_path / 'a.json'), str(tmp_path))


def test_runs_that_saw_different_images_are_not_compared(make_run):
    some = make_run('some', samples(image_ids=(1, 2)))
    with pytest.raises(ValueError, match=r"'all' and 'some' cannot be compared: they were tested "
                                         r'on different images \(3 and 2, 2 of them the same\)'):
        read_runs(find_runs([make_run('all'), some]))
    read_runs(find_runs([some, make_run('same', samples(image_ids=(2, 1)))]))
    twice = make_run('twice', samples(image_ids=(1, 2, 3, 3)))
    with pytest.raises(ValueError, match='an image more than once'):
        read_runs(find_runs([twice]))


def test_images_that_were_not_tested_are_told(make_run, monkeypatch):
    said = []
    monkeypatch.setattr('bacl.report.run_files.print_log',
                        lambda text, **kwargs: said.append(text))
    read_runs(find_runs([make_run('all')]))
    assert said == []
    read_runs(find_runs([make_run('some', samples(image_ids=(1, 2)))]))
    assert said == ['Predictions are of 2 of 3 images; objects in the others count as missed.']
