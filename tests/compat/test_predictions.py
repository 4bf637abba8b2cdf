import io
import os
import pickle

import numpy as np
import pytest
import torch
from bacl.compat.predictions import UnsafePredictionsError, load_predictions


class Payload:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder):
        self.folder = str(folder)

    def __reduce__(self):
        return os.mkdir, (self.folder, )


class InsideATensor(Payload):
    """The same, where a tensor keeps its numbers."""

    def __reduce__(self):
        content = io.BytesIO()
        torch.save(Payload(self.folder), content, _use_new_zipfile_serialization=False)
        return torch.storage._load_from_bytes, (content.getvalue(), )


def sample(image_id=1, **others):
    found = dict(bboxes=torch.tensor([[1., 2., 3., 4.]]), scores=torch.tensor([0.5]),
                 labels=torch.tensor([7]))
    return dict(img_id=image_id, pred_instances=found, ori_shape=(3, 4), **others)


def write(path, content):
    path.write_bytes(pickle.dumps(content))
    return path


@pytest.mark.filterwarnings('error')
def test_predictions_are_read_as_they_were_written(tmp_path):
    masks = [dict(size=[3, 4], counts=b'0n1')]
    written = [sample(1, masks=masks, scale_factor=np.float64(0.5)), sample(2)]
    read = load_predictions(write(tmp_path / 'p.pkl', written))
    assert [s['img_id'] for s in read] == [1, 2]
    assert read[0]['masks'] == masks and read[0]['scale_factor'] == 0.5
    for name, value in written[0]['pred_instances'].items():
        assert torch.equal(read[0]['pred_instances'][name], value)
        assert read[0]['pred_instances'][name].dtype == value.dtype


@pytest.mark.parametrize('payload', [Payload, InsideATensor])
def test_code_in_predictions_does_not_run(tmp_path, payload):
    path = write(tmp_path / 'p.pkl', [sample(1, extra=payload(tmp_path / 'ran'))])
    with pytest.raises(UnsafePredictionsError, match=r'p\.pkl are refused.*tools/test\.py --out'):
        load_predictions(path)
    assert not (tmp_path / 'ran').exists()
    pickle.loads(path.read_bytes())
    assert (tmp_path / 'ran').exists(), 'the payload works'


def test_truncated_predictions_are_named(tmp_path):
    path = write(tmp_path / 'p.pkl', [sample()])
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(RuntimeError, match=r'p\.pkl cannot be read; the file may be truncated'):
        load_predictions(path)


@pytest.mark.parametrize('content', [dict(img_id=1), [1], [dict(img_id=1)]])
def test_other_content_is_named(tmp_path, content):
    with pytest.raises(RuntimeError, match=r"p\.pkl expects a list of images with 'img_id'"):
        load_predictions(write(tmp_path / 'p.pkl', content))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'p\.pkl'):
        load_predictions(tmp_path / 'p.pkl')
