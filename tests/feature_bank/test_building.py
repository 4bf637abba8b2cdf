import numpy as np
import pytest
import torch
from bacl.feature_bank import BankOptions, building, storage
from bacl.feature_bank.storage import FeatureBankError, FeatureTable, read_meta
from mmdet.structures.bbox import bbox_overlaps


def files(folder):
    return {path.name: path.read_bytes() for path in folder.glob('train/*.bin')}


def test_views_hold_proposals_ground_truth_and_draws_of_jittered_boxes(bank):
    table = FeatureTable(bank, 'train')
    assert len(table.records) == 8  # 4 images with objects, 2 views
    plain, flipped = table.views(1)
    assert [bool(plain['flip']), bool(flipped['flip'])] == [False, True]
    assert (plain['gts'], plain['jittered'], plain['draws']) == (3, 48, 2)
    boxes, labels = [], []
    for view in (plain, flipped):
        first = int(view['first_row'] + view['proposals'])
        boxes.append(table.boxes(first, first + 3 + 96))
        labels.append(table.labels(first, first + 3 + 96))
    assert labels[0][:3].tolist() == [1, 0, 1]
    assert (labels[0][3:51] == np.repeat([1, 0, 1], 16)).all()
    width = plain['img_shape'][1]
    mirrored = boxes[1][:3] * [-1, 1, -1, 1] + [width, 0, width, 0]
    assert np.allclose(mirrored[:, [2, 1, 0, 3]], boxes[0][:3], atol=1e-4)
    assert np.abs(boxes[0][3:51] - boxes[0][51:]).max() > 0.1  # another draw
    overlaps = bbox_overlaps(torch.from_numpy(boxes[0][:3]), torch.from_numpy(boxes[0][3:51]))
    assert (overlaps.argmax(0).numpy() == np.repeat([0, 1, 2], 16)).mean() > 0.8


def test_an_interrupted_build_goes_on_and_ends_with_the_same_bytes(make_bank, monkeypatch):
    whole = make_bank('whole', views=2)
    extract, calls = building.extract, []

    def interrupt(*args):
        calls.append(args)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return extract(*args)

    monkeypatch.setattr(building, 'extract', interrupt)
    with pytest.raises(KeyboardInterrupt):
        make_bank('killed', views=2)
    killed = whole.parent / 'killed'
    assert not read_meta(killed, only_complete=False)['complete']
    make_bank('killed', views=2)
    # 3 batches of 2 for each view, 3 of the test: none twice but the one that was interrupted.
    assert len(calls) == 9 + 1
    assert files(killed) == files(whole)
    assert read_meta(killed)['complete']


def test_other_batches_do_not_continue_a_build_and_do_not_matter_after_it(
        make_bank, stage2, monkeypatch):
    def interrupt(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(building, 'extract', interrupt)
        make_bank()
    stage2.train_dataloader = dict(stage2.train_dataloader, batch_size=3)
    with pytest.raises(FeatureBankError, match='train_dataloader.batch_size: 2 in the bank, 3'):
        make_bank(cfg=stage2)
    make_bank()
    make_bank(cfg=stage2)  # complete already


def test_positives_and_some_negatives(make_bank, bank):
    table, everything = (FeatureTable(folder, 'train')
                         for folder in (make_bank(negatives=5), bank))
    for img_id in (1, 2, 3, 4):
        view, whole = table.views(img_id)[0], everything.views(img_id)[0]
        first, proposals = int(view['first_row']), int(view['proposals'])
        boxes = torch.from_numpy(table.boxes(first, first + proposals + int(view['gts'])))
        is_negative = bbox_overlaps(boxes[:proposals], boxes[proposals:]).amax(1) < 0.5
        assert is_negative.sum() == 5
        start = int(whole['first_row'])
        stored = everything.boxes(start, start + int(whole['proposals']))
        assert {tuple(box) for box in boxes[:proposals].tolist()} <= \
            {tuple(box) for box in stored.tolist()}


@pytest.mark.parametrize('prob, views, cure', [
    (0.0, 2, 'in views 0 and 1: nothing is drawn at random. Store --views 1'),
    (0.5, 3, 'in views 0 and 2: nothing but a flip is drawn at random. Store --views 2')])
def test_views_that_show_the_same_are_refused(prob, views, cure, stage2, make_bank):
    stage2.train_dataloader.dataset.pipeline[3].prob = prob
    with pytest.raises(FeatureBankError, match=cure):
        make_bank('same', cfg=stage2, views=views)
    folder = make_bank('same', cfg=stage2)  # nor is anything flipped that is not to be
    assert not FeatureTable(folder, 'train').records['flip'].any()


def test_the_size_is_said_before_and_too_little_room_refused(bank, make_bank, monkeypatch):
    lines = []
    make_bank(report=lines.append, views=2, jitters=2)
    said = float(lines[0].partition('about ')[2].split()[0])
    size = sum(path.stat().st_size for path in bank.rglob('*.bin')) / 1e6
    assert size <= said + 0.5 and said < 1.5 * size + 0.5
    assert any('ETA' in line and 'images/s' in line for line in lines)
    monkeypatch.setattr(storage.shutil, 'disk_usage', lambda path: type('U', (), dict(free=1000)))
    with pytest.raises(FeatureBankError, match='No room.*--out'):
        make_bank('other')


def test_a_folder_with_another_bank_is_refused(make_bank):
    make_bank('b')
    with pytest.raises(FeatureBankError, match='--jitters: 1 in the bank, 3 here'):
        make_bank('b', jitters=3)


def test_a_checkpoint_of_another_detector_is_refused(toy, make_bank, stage2):
    stage2.model.roi_head.bbox_head.fc_out_channels = 16
    with pytest.raises(FeatureBankError, match='stage1.pth does not fit.*shared_fcs'):
        make_bank(cfg=stage2)


def test_weights_saved_from_a_wrapped_model_are_loaded(toy, make_bank, bank, tmp_path):
    weights = torch.load(toy.checkpoint, weights_only=True)['state_dict']
    for prefix in ('module.', 'module.module.'):
        torch.save({f'{prefix}{name}': value for name, value in weights.items()},
                   tmp_path / f'{prefix}pth')
    settings = dict(views=2, jitters=2)
    assert files(make_bank(checkpoint=tmp_path / 'module.pth', **settings)) == files(bank)
    with pytest.raises(FeatureBankError, match='does not fit.*backbone'):
        make_bank('other', checkpoint=tmp_path / 'module.module.pth')


def test_features_beyond_half_precision_are_refused(toy, make_bank, tmp_path):
    checkpoint = torch.load(toy.checkpoint, weights_only=True)
    checkpoint['state_dict']['roi_head.bbox_head.shared_fcs.1.bias'] += 1e5
    torch.save(checkpoint, tmp_path / 'large.pth')
    with pytest.raises(FeatureBankError, match='--dtype float32'):
        make_bank(checkpoint=tmp_path / 'large.pth', dtype='float16')


@pytest.mark.parametrize('option', [dict(views=0), dict(jitters=-1), dict(negatives=0),
                                    dict(dtype='int8')])
def test_options_out_of_range_are_named(option):
    with pytest.raises(ValueError, match=f'--{next(iter(option))} expects'):
        BankOptions(**option)
