import json
import pickle
import sys

import numpy as np
import pytest
import torch
from PIL import Image


@pytest.fixture
def annotations():
    """Two images of 40 x 30 pixels; only the second has a rare object."""
    return dict(
        images=[dict(id=7, file_name='7.png'), dict(id=8, file_name='8.png')],
        categories=[dict(id=2, name='rare', frequency='r'), dict(id=1, name='many', frequency='f')],
        annotations=[dict(image_id=7, category_id=1, bbox=[1, 2, 10, 10]),
                     dict(image_id=8, category_id=2, bbox=[1, 2, 10, 10])])


def test_images_with_rare_objects_come_first(load_tool, annotations):
    choose = load_tool('analysis_tools/compare_predictions.py').choose_images
    assert choose(annotations, 1) == [8]
    assert choose(annotations, 9) == [8, 7]


def test_detections_above_the_threshold_are_drawn_beside_the_ground_truth(
        load_tool, annotations, tmp_path, monkeypatch):
    tool = load_tool('analysis_tools/compare_predictions.py')
    (tmp_path / 'ann.json').write_text(json.dumps(annotations))
    for image in annotations['images']:
        Image.new('RGB', (40, 30), 'black').save(tmp_path / image['file_name'])
    # A label is a position in the file, whatever the ids: label 0 is the rare category.
    found = dict(bboxes=torch.tensor([[5.0, 6.0, 20.0, 25.0]] * 2), labels=torch.tensor([0, 1]),
                 scores=torch.tensor([0.9, 0.01]))
    (tmp_path / 'p.pkl').write_bytes(pickle.dumps([dict(img_id=8, pred_instances=found)]))
    monkeypatch.setattr(sys, 'argv', [
        'compare_predictions.py', str(tmp_path / 'ann.json'), str(tmp_path),
        f'model={tmp_path / "p.pkl"}', '--out', str(tmp_path / 'out'), '--num', '1'])
    tool.main()
    picture = np.asarray(Image.open(tmp_path / 'out' / '8.png'))
    assert not (tmp_path / 'out' / '7.png').exists()
    truth, detections = np.split(picture, 2, axis=1)
    corner = (25 * tool.SCALE + 16, 20 * tool.SCALE)  # row, column of the detection's last corner
    assert tuple(detections[corner]) == tool.COLOURS['r']
    assert tuple(truth[corner]) == (0, 0, 0)
    assert not (detections == tool.COLOURS['f']).all(axis=-1).any(), 'the score of 0.01 is hidden'
