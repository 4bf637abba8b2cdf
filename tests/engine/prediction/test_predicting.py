import json
from types import SimpleNamespace

import bacl  # noqa: F401
import numpy as np
import pytest
import torch
from bacl.engine.prediction import find_images, predict, read_classes
from bacl.engine.prediction.predicting import _predictions
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.structures import InstanceData
from PIL import Image
from pycocotools import mask as mask_utils

# As a detector gives them: (x1, y1, x2, y2), in any order.
BOXES = torch.tensor([[0., 0, 10, 10], [20, 5, 50, 45], [1, 2, 3, 4], [5, 5, 25, 25]])
SCORES, LABELS = torch.tensor([0.2, 0.9, 0.05, 0.6]), torch.tensor([0, 1, 2, 1])


class FakePredictor:
    """Finds the same in every image, with masks of the size of the image if it is told to."""

    decoding = {}

    def __init__(self, masks=False):
        self.masks = masks

    def __call__(self, image):
        found = InstanceData(bboxes=BOXES, scores=SCORES, labels=LABELS)
        if self.masks:
            found.masks = torch.zeros(4, *image.shape[:2], dtype=torch.bool)
            found.masks[1, 5:45, 20:50] = True
        return DetDataSample(pred_instances=found)


@pytest.fixture
def run(make_lvis):
    """A function like predict(), with a fake detector of the classes of the tiny dataset."""
    root = make_lvis('v1')
    cfg = Config(dict(test_dataloader=dict(dataset=dict(
        type='LongTailLVISV1Dataset', data_root=str(root),
        ann_file='annotations/lvis_v1_train.json'))))
    classes = read_classes(cfg, None, 3)

    def run(files, out=None, score_thr=0.1, max_dets=100, skip_unreadable=False, masks=False):
        return list(_predictions(FakePredictor(masks), classes, find_images(files, out), out,
                                 score_thr, max_dets, skip_unreadable))

    return run, root / 'train2017'


def test_the_best_detections_come_first_and_low_ones_are_left_out(run):
    run, folder = run
    found = run(folder)
    assert [prediction.name for prediction in found] == [f'{i:012d}.jpg' for i in range(1, 6)]
    first = found[0]
    assert first.size == (80, 60) and first.masks is None
    np.testing.assert_allclose(first.scores, [0.9, 0.6, 0.2])
    np.testing.assert_allclose(first.boxes, [[20, 5, 30, 40], [5, 5, 20, 20], [0, 0, 10, 10]])
    assert first.names == ['acorn', 'acorn', 'yoke'] and first.groups == ['f', 'f', 'r']
    assert len(run(folder, max_dets=2)[0].scores) == 2
    assert len(run(folder, score_thr=0)[0].scores) == 4


def test_pictures_and_a_coco_file_are_written(run, tmp_path):
    run, folder = run
    (folder / 'sub').mkdir()
    Image.new('L', (30, 20)).save(folder / 'sub/grey.pgm')
    Image.new('RGB', (700, 640), (250, 0, 10)).save(folder / 'red.png')
    out = tmp_path / 'results/here'
    run(folder, out, masks=True)
    data = json.loads((out / 'detections.json').read_text())
    assert [image['file_name'] for image in data['images']][-1] == 'sub/grey.pgm'
    assert data['categories'][0] == dict(id=7, name='yoke', frequency='rare')
    assert len(data['annotations']) == 7 * 3
    record = data['annotations'][0]
    assert (record['category_id'], record['bbox']) == (3, [20, 5, 30, 40])
    assert mask_utils.area(record['segmentation']) == 30 * 40
    pictures = sorted(path.relative_to(out / 'pictures').as_posix()
                      for path in (out / 'pictures').rglob('*') if path.is_file())
    assert pictures == [*(f'{i:012d}.jpg' for i in range(1, 6)), 'red.png', 'sub/grey.pgm.png']
    assert Image.open(out / 'pictures/red.png').getpixel((690, 600)) == (250, 0, 10)
    assert Image.open(out / 'pictures/sub/grey.pgm.png').width >= 640


def test_images_of_every_kind_are_seen_in_colour_and_turned_as_people_see_them(
        run, tmp_path, monkeypatch):
    run, _ = run
    folder = tmp_path / 'kinds'
    folder.mkdir()
    turned = Image.new('RGB', (30, 20))
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(folder / 'b.jpg', exif=exif)
    for name, mode in (('a.png', 'RGBA'), ('c.png', 'L'), ('d.png', 'P'), ('e.png', 'I;16')):
        Image.new(mode, (30, 20)).save(folder / name)
    seen, call = [], FakePredictor.__call__
    monkeypatch.setattr(FakePredictor, '__call__', lambda self, image: seen.append(
        (image.shape, image.dtype)) or call(self, image))
    found = run(folder, tmp_path / 'out')
    assert [prediction.name for prediction in found] == ['a.png', 'b.jpg', 'c.png', 'd.png',
                                                         'e.png']
    assert [prediction.size for prediction in found] == [
        (20, 30) if name == 'b.jpg' else (30, 20) for name in ('a.png', 'b.jpg', *'cde')]
    assert set(seen) == {((20, 30, 3), np.dtype('uint8')), ((30, 20, 3), np.dtype('uint8'))}
    with Image.open(tmp_path / 'out/pictures/b.jpg') as picture:
        assert picture.height > picture.width


def test_results_may_be_beside_the_images(run, monkeypatch):
    _, folder = run
    cfg = Config(dict(test_dataloader=dict(dataset=dict(type='CocoDataset'))))
    predictor = FakePredictor()
    predictor.cfg, predictor.class_names, predictor.num_classes = cfg, ('a', 'b', 'c'), 3
    monkeypatch.setattr('bacl.engine.prediction.predicting.Predictor', lambda *_: predictor)
    for _ in range(2):
        assert len(list(predict('c.py', 'a.pth', folder, folder))) == 5


def test_an_unreadable_image_is_named_and_skipped_if_asked(run, tmp_path, monkeypatch):
    run, folder = run
    (folder / '0.jpg').write_bytes(b'\xff\xd8no')
    files = [folder / '0.jpg', folder / 'gone.jpg', folder / '000000000001.jpg']
    with pytest.raises(ValueError, match=r'0\.jpg .*cannot be decoded.*--skip-unreadable'):
        run(files, tmp_path / 'out')
    assert not list((tmp_path / 'out').iterdir())
    with pytest.raises(FileNotFoundError, match=r'gone\.jpg does not exist.*--skip-unreadable'):
        run(files[1:])
    said = []
    monkeypatch.setattr('bacl.engine.prediction.predicting.print_log',
                        lambda text, **kwargs: said.append(text))
    found = run(files, tmp_path / 'out', skip_unreadable=True)
    assert [prediction.name for prediction in found] == ['000000000001.jpg']
    assert '0.jpg' in said[0] and 'gone.jpg' in said[1] and said[2].startswith('2 of 3 images')
    assert len(json.loads((tmp_path / 'out/detections.json').read_text())['images']) == 1


def test_of_a_detector_and_arguments_that_are_out_of_range(detector, tmp_path):
    config, checkpoint, root = detector
    arguments = str(config), str(checkpoint), root / 'train2017/000000000001.jpg'
    found, = predict(*arguments, score_thr=0, max_dets=5, device='cpu')
    assert len(found.scores) == 5 and (np.diff(found.scores) <= 0).all()
    assert set(found.groups) <= {'r', 'c', 'f'}
    for wrong, message in ((dict(score_thr=2), 'score_thr='), (dict(max_dets=0), 'max_dets=')):
        with pytest.raises(ValueError, match=message):
            predict(*arguments, **wrong)


def test_nothing_found_is_no_error(run, tmp_path, monkeypatch):
    run, folder = run
    monkeypatch.setattr(FakePredictor, '__call__', lambda self, image: SimpleNamespace(
        pred_instances=InstanceData(bboxes=torch.zeros(0, 4), scores=torch.zeros(0),
                                    labels=torch.zeros(0, dtype=torch.long),
                                    masks=torch.zeros(0, *image.shape[:2], dtype=torch.bool))))
    found = run(folder / '000000000001.jpg', tmp_path / 'out')
    assert found[0].boxes.shape == (0, 4) and found[0].masks == []
    assert (tmp_path / 'out/pictures/000000000001.jpg').is_file()
