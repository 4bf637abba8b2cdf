from types import SimpleNamespace

import pytest
import torch
from mmdet.models.roi_heads import StandardRoIHead
from mmdet.models.roi_heads.bbox_heads import bbox_head as mmdet_bbox_head
from mmengine.config import Config


@pytest.fixture(scope='module')
def tool(load_tool):
    return load_tool('benchmarks/inference.py')


@pytest.fixture(scope='module')
def batches(tool):
    return [tool.draw_image(160, 160)]


@pytest.fixture
def detectors(tool):
    """The detectors of Emoji-LT mini with fewer classes and proposals."""
    return tool.build_detectors(tool.EMOJI_LT_CONFIGS, is_quick=True)


@pytest.fixture
def emoji_lt(make_lvis):
    """Images and annotations where the configs of Emoji-LT look for them."""
    root = make_lvis('v1')
    (root / 'annotations/lvis_v1_train.json').rename(root / 'annotations/emoji_lt_val.json')
    return root


def rows_of(measured):
    rows = list(measured)
    assert all(list(row) == ['name', 'value', 'unit', 'target'] for row in rows)
    assert all(row['value'] > 0 for row in rows)
    return {row['name']: row for row in rows}


def same_but_classifier(detectors):
    baseline, bacl = (detectors[side].state_dict() for side in ('baseline', 'BACL'))
    return all(torch.equal(value, bacl[name]) for name, value in baseline.items()
               if 'fc_cls' not in name)


def test_quick_run_of_the_small_detector(tool):
    rows = rows_of(tool.measure_emoji_lt(tool.parse_args(['--quick', '--mmdet-nms'])))
    name = 'Emoji-LT mini'
    assert list(rows) == [
        f'{name}, candidates of baseline', f'{name}, candidates of BACL', f'{name}, baseline',
        f'{name}, BACL', f"{name}, BACL with mmdet's NMS", f'{name}, BACL / baseline',
        f"{name}, BACL / BACL with mmdet's NMS"]
    assert {key: row['target'] for key, row in rows.items() if row['target']} == {
        f'{name}, BACL / baseline': '>= 0.95'}
    assert rows[f'{name}, BACL / baseline']['unit'] == 'x speed'
    assert rows[f'{name}, BACL']['unit'] == 'images/s'
    # 20 proposals, 40 classes.
    assert rows[f'{name}, candidates of BACL']['value'] == pytest.approx(800 * 1.05 / 1.203, abs=1)
    assert rows[f'{name}, candidates of baseline']['value'] == pytest.approx(
        800 * 0.35 / 1.203, abs=1)


@pytest.mark.slow
def test_quick_run_has_both_detectors(tool):
    rows = rows_of(tool.measure(tool.parse_args(['--quick'])))
    assert [name for name, row in rows.items() if row['target'] == '>= 0.95'] == [
        'R50-FPN 64 x 96, BACL / baseline', 'Emoji-LT mini, BACL / baseline']
    assert len(rows) == 10


def test_speed_is_that_of_an_image(tool, monkeypatch, detectors, batches):
    monkeypatch.setattr(tool, 'time_in_turn', lambda functions, rounds: {
        'baseline': [1.0, 2.0, 8.0], 'BACL': [2.0, 2.0, 2.0]})
    args = SimpleNamespace(mmdet_nms=False, rounds=3)
    rows = rows_of(tool.measure_detectors('x', detectors, 4 * batches, args))
    assert rows['x, baseline']['value'] == rows['x, BACL']['value'] == 4 / 2
    assert rows['x, BACL / baseline']['value'] == 1  # the median of 1/2, 1 and 4


@pytest.mark.parametrize('share', [0.1, 0.35, 0.9])
def test_calibrated_classifier_has_the_share_of_candidates(tool, detectors, batches, share):
    for detector in detectors.values():
        tool.calibrate(detector, batches, share)
        # Counted where NMS gets them: 20 proposals, 40 classes.
        candidates, = host_candidates(detector, batches)
        num = (candidates.scores[:, :-1] > 1e-4).sum().item()
        assert num == pytest.approx(share * 800, abs=1)
        assert tool.count_candidates(detector, batches * 2) == num
        logits = tool.classify(detector, batches)[:, :-1]
        torch.testing.assert_close(logits.std(dim=0), torch.full((40,), tool.LOGIT_STD),
                                   rtol=1e-3, atol=0)
        torch.testing.assert_close(logits.mean(dim=0), logits.mean().expand(40),
                                   rtol=0, atol=1e-2)


@torch.no_grad()
def host_candidates(detector, batches):
    """What a detector hands to NMS, for one image."""
    data = detector.data_preprocessor(batches[0], False)
    feats = detector.extract_feat(data['inputs'])
    proposals = detector.rpn_head.predict(feats, data['data_samples'], rescale=False)
    metas = [sample.metainfo for sample in data['data_samples']]
    return StandardRoIHead.predict_bbox(detector.roi_head, feats, metas, proposals, None)


def test_only_the_baseline_and_the_copy_use_the_nms_of_mmdet(tool, monkeypatch, detectors, batches):
    calls = []
    original = mmdet_bbox_head.multiclass_nms

    def spy(*args, **kwargs):
        calls.append(args)
        return original(*args, **kwargs)

    monkeypatch.setattr(mmdet_bbox_head, 'multiclass_nms', spy)
    tool.calibrate(detectors['BACL'], batches, tool.SHARES['BACL'])
    detectors['copy'] = tool.with_mmdet_nms(detectors['BACL'])
    num_calls, found = {}, {}
    for side, detector in detectors.items():
        calls.clear()
        found[side] = tool.detect(detector, batches)[0].pred_instances.clone()
        num_calls[side] = len(calls)
    assert num_calls == dict(baseline=1, BACL=0, copy=1)
    assert type(detectors['baseline'].roi_head) is StandardRoIHead
    assert len(found['BACL']) == 300
    for field in ('bboxes', 'scores', 'labels'):
        assert torch.equal(found['BACL'][field], found['copy'][field])


def test_detectors_differ_in_their_classifiers_only(tool, detectors, batches):
    assert same_but_classifier(detectors)
    for detector in detectors.values():
        assert not detector.training
        tool.calibrate(detector, batches, 0.5)
    assert same_but_classifier(detectors)


@pytest.mark.parametrize('configs', ['R50_CONFIGS', 'EMOJI_LT_CONFIGS'])
def test_configs_agree_on_everything_at_test_time_but_the_roi_head(tool, configs):
    baseline, bacl = (Config.fromfile(tool.CONFIGS / getattr(tool, configs)[side]).model
                      for side in ('baseline', 'BACL'))
    assert (baseline.roi_head.type, bacl.roi_head.type) == ('StandardRoIHead', 'FHMRoIHead')
    for part in ('test_cfg', 'data_preprocessor', 'neck', 'rpn_head'):
        assert baseline[part] == bacl[part]


def test_image_is_smooth(tool):
    image = tool.draw_image(64, 96)['inputs'][0]
    assert image.shape == (3, 64, 96) and image.dtype == torch.uint8
    image = image.float()
    assert image.std() > 30 and (image[..., 1:] - image[..., :-1]).abs().mean() < 10


def test_images_of_the_data_set_are_read_one_by_one(tool, emoji_lt):
    config = tool.CONFIGS / tool.EMOJI_LT_CONFIGS['BACL']
    batches = tool.read_images(config, emoji_lt, 2)
    assert [len(batch['inputs']) for batch in batches] == [1, 1]
    # 80 x 60 and 60 x 80 pixels, resized to 160 at most.
    assert [tuple(batch['inputs'][0].shape) for batch in batches] == [(3, 120, 160), (3, 160, 120)]
    assert len(tool.read_images(config, emoji_lt, 99)) == 5


def test_checkpoints_are_measured_as_they_are(tool, emoji_lt, tmp_path):
    arguments = ['--emoji-lt', str(emoji_lt), '--images', '1', '--rounds', '1', '--checkpoints']
    batches = tool.read_images(tool.CONFIGS / tool.EMOJI_LT_CONFIGS['BACL'], emoji_lt, 1)
    counts = {}
    for side, detector in tool.build_detectors(tool.EMOJI_LT_CONFIGS, is_quick=False).items():
        tool.calibrate(detector, batches, dict(baseline=0.25, BACL=0.5)[side])
        counts[side] = tool.count_candidates(detector, batches)
        torch.save(detector.state_dict(), tmp_path / f'{side}.pth')
        arguments.append(str(tmp_path / f'{side}.pth'))
    rows = rows_of(tool.measure_emoji_lt(tool.parse_args(arguments)))
    assert {side: rows[f'Emoji-LT mini, trained, candidates of {side}']['value']
            for side in counts} == counts


@pytest.mark.parametrize('arguments, message', [
    (['--emoji-lt', 'missing'], 'build_emoji_lt.py'),
    (['--quick', '--checkpoints', 'a', 'b'], 'smaller detectors')])
def test_what_cannot_run_is_refused_at_once(tool, arguments, message, capsys):
    with pytest.raises(SystemExit):
        tool.parse_args(arguments)
    assert message in capsys.readouterr().err


def test_missing_checkpoint_is_named(tool, tmp_path):
    with pytest.raises(FileNotFoundError, match=r'--checkpoints expects .*absent\.pth'):
        tool.parse_args(['--emoji-lt', str(tmp_path), '--checkpoints', 'absent.pth', 'b.pth'])
