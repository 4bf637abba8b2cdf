import pytest
import torch


@pytest.fixture(scope='module')
def tool(load_tool):
    return load_tool('benchmarks/nms.py')


def draw(tool, num_rois, num_classes, is_per_class):
    generator = torch.Generator().manual_seed(0)
    boxes, origin = tool.draw_boxes(num_rois, num_classes, is_per_class, generator)
    return boxes, tool.draw_scores(origin, num_classes, generator)


def test_quick_run_reports_both_sides_and_their_ratio(tool):
    rows = {row['name']: row for row in tool.measure(tool.parse_args(['--quick']))}
    assert all(list(row) == ['name', 'value', 'unit', 'target'] for row in rows.values())
    assert list(rows) == [
        f'NMS, 60 x 50{boxes}, {what}' for boxes in ('', ', boxes of each class')
        for what in ('candidates', 'mmdet', 'BACL', 'BACL / mmdet')]
    assert all(row['value'] > 0 for row in rows.values())
    assert {name: row['target'] for name, row in rows.items() if row['target']} == {
        'NMS, 60 x 50, BACL / mmdet': '>= 100'}
    assert rows['NMS, 60 x 50, BACL / mmdet']['unit'] == 'x speed'


@pytest.mark.parametrize('is_per_class', [False, True])
def test_detections_are_the_same_with_the_offsets_of_1203_classes(tool, is_per_class):
    boxes, scores = draw(tool, 100, 1203, is_per_class)
    tool.check_same(boxes, scores)
    # And they are not simply the best candidates.
    kept = tool.run_bacl(boxes, scores)[1]
    assert len(kept) == 300
    assert kept[-1] < scores[:, :-1].flatten().topk(310).values[-1]


@pytest.mark.parametrize('position', [0, 1, 2])
def test_difference_is_found(tool, monkeypatch, position):
    image = draw(tool, 60, 50, False)
    result = list(tool.run_bacl(*image))
    result[position] = result[position].clone()
    result[position][-1] += 1
    monkeypatch.setattr(tool, 'run_bacl', lambda boxes, scores: result)
    with pytest.raises(RuntimeError, match='different detections'):
        tool.check_same(*image)


def test_scores_are_all_different_and_as_many_above_the_threshold_as_with_bacl(tool):
    origin = torch.arange(1000) % tool.NUM_OBJECTS
    scores = tool.draw_scores(origin, 1203, torch.Generator().manual_seed(0))
    assert scores.shape == (1000, 1204)
    foreground = scores[:, :-1].flatten()
    assert foreground.unique().numel() == 1_203_000
    assert (foreground > 1e-4).sum() == pytest.approx(1_050_000, abs=1)
    assert 0.9 < foreground.max() < 1


def test_proposals_of_an_object_agree_on_its_classes(tool):
    origin = torch.arange(400) % tool.NUM_OBJECTS
    scores = tool.draw_scores(origin, 100, torch.Generator().manual_seed(0))[:, :-1].logit()
    correlation = scores.corrcoef()
    is_same = origin[:, None] == origin
    assert correlation[is_same & ~torch.eye(400, dtype=bool)].mean() == pytest.approx(0.8, abs=0.05)
    assert correlation[~is_same].mean() == pytest.approx(0, abs=0.02)


@pytest.mark.parametrize('is_per_class', [False, True])
def test_boxes_have_whole_pixels_and_lie_in_the_image(tool, is_per_class):
    boxes, origin = tool.draw_boxes(500, 20, is_per_class, torch.Generator().manual_seed(0))
    assert boxes.shape == (500, 80 if is_per_class else 4) and len(origin) == 500
    assert boxes.dtype == torch.float32 and torch.equal(boxes, boxes.round())
    boxes = boxes.view(-1, 4)
    assert (boxes[:, :2] < boxes[:, 2:]).all() and boxes.min() >= 0
    assert boxes[:, 2].max() <= 1333 and boxes[:, 3].max() <= 800
    if is_per_class:
        assert (boxes.view(500, 20, 4).std(dim=1) > 0).any(dim=1).all()
