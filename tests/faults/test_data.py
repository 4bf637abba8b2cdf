"""Faults of annotations and images, in real files, found by a real `python -m bacl.check data`.

And one of each kind in a real training or test, which must not start.
"""
import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
BASE = ROOT / 'configs/baselines/faster-rcnn_effnet-lite0_emoji-lt-smoke_stage1.py'
ANN_FILE = 'annotations/lvis_v1_train.json'


ENVIRONMENT = dict(os.environ, PYTHONPATH=str(ROOT), CUDA_VISIBLE_DEVICES='-1', OMP_NUM_THREADS='1')


@pytest.fixture
def run(warm_python):
    """Run a command of this package to its end; return the exit code and the output."""

    def run(*argv, fresh=False):
        if fresh:  # in an interpreter of its own, as users do
            done = subprocess.run(
                [sys.executable, *map(str, argv)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, text=True, timeout=240, cwd=ROOT, env=ENVIRONMENT)
        else:
            done = warm_python.run(argv, timeout=240, cwd=ROOT, env=ENVIRONMENT)
        return done.returncode, done.stdout

    return run


@pytest.fixture
def root(make_lvis):
    return make_lvis('v1')


@pytest.fixture
def config(root):
    """A config of stage 1 that trains, validates and tests on the tiny LVIS below ``root``."""
    path = root / 'config.py'
    dataset = f'dict(dataset=dict(data_root={str(root)!r}, ann_file={ANN_FILE!r}))'
    path.write_text('\n'.join([
        f'_base_ = {str(BASE)!r}', f'train_dataloader = {dataset}', f'val_dataloader = {dataset}',
        'test_dataloader = val_dataloader', 'val_evaluator = dict(ann_file='
        f'{str(root / ANN_FILE)!r}, exhaustive_ann_file=None)',
        'test_evaluator = val_evaluator', 'num_classes = 3', 'head = dict(num_classes=3)',
        'model = dict(backbone=dict(init_cfg=None), roi_head=dict(bbox_head=head))']) + '\n')
    return path


def edit(root, change):
    data = json.loads((root / ANN_FILE).read_text())
    change(data)
    (root / ANN_FILE).write_text(json.dumps(data))


def add(data, **fields):
    """Add an annotation that is like the first except for the fields."""
    data['annotations'].append(dict(data['annotations'][0], id=len(data['annotations']) + 100)
                               | fields)


def test_data_without_faults_pass(run, config):
    code, output = run('-m', 'bacl.check', 'data', config, '--workers', 2, fresh=True)
    assert code == 0, output
    assert 'train: LongTailLVISV1Dataset' in output and 'val, test: LongTail' in output
    assert output.count('5 images were opened.') == 2
    assert 'counted  small-box, 1: ' in output and 'counted  id-gaps, 1: ' in output
    assert '0 of 2 datasets are refused.' in output

    code, output = run('-m', 'bacl.check', 'data', config, '--no-images', '--cfg-options',
                       'train_dataloader.dataset.test_mode=True')
    assert code == 0 and output.count('LongTail') == 2
    assert '0 of 2 datasets are refused.' in output


def test_every_fault_of_annotations_is_found(run, root, config):
    def break_all(data):
        images, annotations, categories = (
            data[section] for section in ('images', 'annotations', 'categories'))
        number = len(annotations)
        add(data, bbox=[math.nan, 5, 9, 9])
        add(data, bbox=[5, 5, -9, 9])
        add(data, bbox=[5, 5, 0, 9], area=0)
        add(data, bbox=[100, 5, 9, 9])
        add(data, bbox=[70, 5, 19, 9])
        add(data, category_id=99)
        add(data, image_id=99)
        add(data, id=1)
        add(data, id=0)
        images.append(dict(images[0]))
        images.append(dict(images[0], id=6, width=-1))
        categories.append(dict(categories[0], id=0, name='unseen'))
        categories.append(dict(categories[0], id='8', name='eight'))
        assert [a['id'] for a in annotations[number:-2]] == list(range(108, 115))

    edit(root, break_all)
    code, output = run('-m', 'bacl.check', 'data', config, '--no-images')
    assert code == 1, output
    assert 'Images were not opened.' in output
    for line in ('REFUSED  bad-box, 1: .*annotation 108 of image 1: bbox .nan, 5, 9, 9.',
                 'REFUSED  negative-box, 1: .*annotation 109 of image 1',
                 r'counted  small-box, 2: .*annotation 8 of image 5.*annotation 110 of image 1',
                 'counted  box-outside, 1: .*annotation 111 of image 1',
                 'counted  box-overhang, 1: .*annotation 112 of image 1',
                 'REFUSED  unknown-category, 1: .*annotation 113 of category 99',
                 'REFUSED  unknown-image, 1: .*annotation 114 of image 99',
                 'REFUSED  duplicate-id, 2: .*image 1, annotation 1',
                 'REFUSED  bad-image, 1: .*image 6: .*, -1 x 60',
                 "REFUSED  bad-id, 1: .*category '8'",
                 'counted  id-0, 2: .*annotation 0, category 0',
                 'counted  empty-image, 1: .*image 6',
                 "counted  empty-category, 1: .*category 0 'unseen'"):
        assert len(re.findall(line, output)) == 2, (line, output)  # training and test
    assert '2 of 2 datasets are refused.' in output


def test_every_fault_of_images_is_found(run, root, config):
    pixels = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    turned, mirrored = Image.Exif(), Image.Exif()
    turned[0x0112], mirrored[0x0112] = 6, 3
    folder = root / 'train2017'
    files = {
        'gray.jpg': lambda path: Image.fromarray(pixels[..., 0]).save(path),
        'cmyk.jpg': lambda path: Image.fromarray(pixels).convert('CMYK').save(path),
        'deep.png': lambda path: cv2.imwrite(str(path), pixels.astype(np.uint16) * 256),
        'alpha.png': lambda path: Image.fromarray(pixels).convert('RGBA').save(path),
        'palette.png': lambda path: Image.fromarray(pixels).convert('P').save(path),
        'turned.jpg': lambda path: Image.fromarray(pixels).save(path, exif=turned),
        'mirrored.jpg': lambda path: Image.fromarray(pixels).save(path, exif=mirrored),
        'size.jpg': lambda path: Image.fromarray(pixels[:-1]).save(path),
        'cut.jpg': lambda path: Image.fromarray(pixels).save(path),
        'missing.jpg': lambda path: None,
    }

    def list_all(data):
        for image_id, name in enumerate(files, start=11):
            data['images'].append(dict(data['images'][0], id=image_id, coco_url=(
                f'http://images.cocodataset.org/train2017/{name}')))
            add(data, image_id=image_id)

    edit(root, list_all)
    for name, save in files.items():
        save(folder / name)
    cut = folder / 'cut.jpg'
    cut.write_bytes(cut.read_bytes()[:-200])

    code, output = run('-m', 'bacl.check', 'data', config, '--workers', 2)
    assert code == 1, output
    for line in ('counted  grayscale, 1: .*image 11: .*gray.jpg',
                 'counted  cmyk, 1: .*image 12: .*cmyk.jpg',
                 'counted  16-bit, 1: .*image 13: .*deep.png',
                 'counted  alpha, 1: .*image 14: .*alpha.png',
                 'counted  palette, 1: .*image 15: .*palette.png',
                 r'REFUSED  other-size, 2: .*image 16: .*turned.jpg \(60 x 80, annotated as 80 x '
                 r'60, EXIF orientation 6\), image 18: .*size.jpg \(80 x 59',
                 r'counted  exif-turned, 1: .*image 17: .*mirrored.jpg \(orientation 3\)',
                 'REFUSED  broken-image, 1: .*image 19: .*cut.jpg',
                 'REFUSED  missing-image, 1: .*image 20: .*missing.jpg'):
        assert len(re.findall(line, output)) == 2, (line, output)


def test_file_without_annotations_is_refused_except_for_prediction(run, root, config):
    edit(root, lambda data: data['annotations'].clear())
    code, output = run('-m', 'bacl.check', 'data', config, '--no-images')
    assert code == 1, output
    assert 'REFUSED  no-annotations' in output and 'REFUSED  no-ground-truth' in output
    assert '2 of 2 datasets are refused.' in output


def test_training_on_refused_annotations_does_not_start(run, root, config):
    edit(root, lambda data: add(data, bbox=[math.nan, 5, 9, 9]))
    code, output = run('tools/train.py', config, '--work-dir', root / 'run')
    assert code == 1 and 'bad-box, 1: ' in output
    assert 'annotation 108 of image 1' in output and str(root / ANN_FILE) in output
    assert 'Epoch(train)' not in output and not list((root / 'run').glob('*.pth'))


@pytest.mark.parametrize('tool', ['tools/train.py', 'tools/test.py', '-m bacl.check config'])
def test_misspelt_key_ends_every_tool_at_once(run, root, config, tool):
    config.write_text(config.read_text().replace(
        'head = dict(num_classes=3)',
        "head = dict(num_classes=3, loss_cls=dict(type='FCBL', prob_threshold=0.5))"))
    (root / 'model.pth').touch()
    argv = [*tool.split(), config, *([root / 'model.pth'] if tool.endswith('test.py') else [])]
    code, output = run(*argv, *([] if 'check' in tool else ['--work-dir', root / 'run']))
    assert code == 1, output
    assert (f'{config} is refused:\n  model.roi_head.bbox_head.loss_cls: FCBL has no argument '
            "'prob_threshold'; the nearest is 'prob_thr'.") in output
    assert not (root / 'run').exists()
