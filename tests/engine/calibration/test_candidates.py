import json
from types import SimpleNamespace

import bacl  # noqa: F401
import pytest
import torch
from bacl.engine.calibration.candidates import (
    RECORD,
    CandidateHook,
    Candidates,
    stored_differences,
)
from mmengine.structures import InstanceData
from torch import nn


class RoIHead(nn.Module):
    """Predicts what it is given."""

    def predict_candidates(self, x, batch_img_metas, rpn_results_list, rescale):
        return x


def image(num_rois, num_classes=4):
    scores = torch.rand(num_rois, num_classes + 1)
    return InstanceData(bboxes=torch.rand(num_rois, 4 * num_classes), scores=scores,
                        logits=torch.randn(num_rois, num_classes + 2))


def collect(folder, images, max_rois, made_of):
    head = RoIHead()
    runner = SimpleNamespace(model=nn.ModuleDict(dict(roi_head=head)))
    runner.model.roi_head = head
    hook = CandidateHook(folder, len(images), max_rois, made_of)
    hook.before_test(runner)
    for image_id, one in enumerate(images):
        assert head.predict_candidates([one], [dict(img_id=image_id * 10)], None, True) == [one]
    hook.after_test(runner)
    assert 'predict_candidates' not in vars(head)


def test_the_highest_scores_of_classes_stay_in_their_order(tmp_path):
    torch.manual_seed(0)
    images = [image(0), image(3), image(7)]
    images[2].scores[5, -1] = 2.  # the background does not count
    collect(tmp_path, images, 4, dict(a=1))
    stored = list(Candidates(tmp_path))
    assert [image_id for image_id, _ in stored] == [0, 10, 20]
    assert [len(one) for _, one in stored] == [0, 3, 4]
    kept = sorted(images[2].scores[:, :-1].amax(1).argsort(descending=True)[:4].tolist())
    for (_, one), whole in zip(stored[1:], (images[1], images[2][torch.tensor(kept)]), strict=True):
        assert torch.equal(one.bboxes, whole.bboxes) and torch.equal(one.logits, whole.logits)


def test_candidates_of_something_else_or_half_written_are_none(tmp_path):
    made_of = dict(checkpoint=['a.pth', 3, 4], max_rois=2)
    assert stored_differences(tmp_path, made_of) == ['none stored']
    collect(tmp_path, [image(3)], 2, made_of)
    assert stored_differences(tmp_path, made_of) == []
    assert stored_differences(tmp_path, dict(made_of, max_rois=3)) == ['max_rois']
    hook = CandidateHook(tmp_path, 1, 2, made_of)
    hook.before_test(SimpleNamespace(model=SimpleNamespace(roi_head=RoIHead())))
    assert not (tmp_path / RECORD).exists()  # until it is through


def test_a_full_disk_and_a_detector_without_proposals_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr('shutil.disk_usage', lambda path: SimpleNamespace(free=1000))
    with pytest.raises(OSError, match='--share.*--max-rois'):
        collect(tmp_path, [image(3)], 300, {})
    assert not list(tmp_path.iterdir())
    with pytest.raises(ValueError, match='no proposal'):
        collect(tmp_path, [image(0)], 300, {})


def test_the_record_is_json_that_says_what_it_was_made_of(tmp_path):
    collect(tmp_path, [image(1)], 2, dict(images='x'))
    assert json.loads((tmp_path / RECORD).read_text())['made_of'] == dict(images='x')
