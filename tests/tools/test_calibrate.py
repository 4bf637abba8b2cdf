"""tools/calibrate.py on a tiny detector with random weights, from the command line on."""
import csv
import json
import logging
import shutil
import sys
from pathlib import Path

import bacl  # noqa: F401
import pytest
import torch
from bacl.engine.calibration import choice
from bacl.engine.calibration.candidates import Candidates
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

ROOT = Path(__file__).parents[2]


@pytest.fixture
def run_config(make_lvis, tmp_path):
    """A function that writes a config of a tiny detector on its training images."""
    data_root = make_lvis('v1')

    def write(loss='CrossEntropyLoss'):
        cfg = Config.fromfile(ROOT / 'configs/_base_/models/faster-rcnn_effnet-lite0_fpn.py')
        model = cfg.model
        model.backbone.init_cfg = None
        model.roi_head.bbox_head.update(num_classes=3, fc_out_channels=8)
        model.roi_head.bbox_head.loss_cls = dict(type=loss)
        model.test_cfg.rpn.max_per_img = 40
        model.test_cfg.rcnn.update(score_thr=0.0, max_per_img=20)
        pipeline = [
            dict(type='LoadImageFromFile'), dict(type='Resize', scale=(64, 64), keep_ratio=True),
            dict(type='PackDetInputs',
                 meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'))]
        data = dict(type='LongTailLVISV1Dataset', data_root=str(data_root),
                    ann_file='annotations/lvis_v1_train.json', data_prefix=dict(img=''),
                    pipeline=pipeline)
        loader = dict(batch_size=2, num_workers=0,
                      sampler=dict(type='DefaultSampler', shuffle=False),
                      dataset=dict(data, test_mode=True))
        runtime = Config.fromfile(ROOT / 'configs/_base_/default_runtime.py').to_dict()
        runtime.update(
            model=model.to_dict(), work_dir=str(tmp_path / 'work'), custom_hooks=[],
            vis_backends=[], custom_imports=None,
            train_dataloader=dict(loader, dataset=dict(
                type='RepeatDataset', times=2, dataset=dict(
                    data, filter_cfg=dict(filter_empty_gt=True)))),
            train_cfg=dict(type='EpochBasedTrainLoop', max_epochs=1, val_interval=10),
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.01)),
            test_dataloader=loader, test_cfg=dict(),
            test_evaluator=dict(type='FastLVISMetric', metric='bbox', max_dets=20,
                                ann_file=f'{data_root}/annotations/lvis_v1_train.json'))
        runtime['visualizer'] = dict(type='DetLocalVisualizer', name=f'{tmp_path}')
        runtime['log_level'] = logging.INFO
        path = tmp_path / 'config.py'
        Config(runtime).dump(path)
        init_default_scope('mmdet')
        torch.manual_seed(0)
        from mmdet.registry import MODELS
        detector = MODELS.build(Config.fromfile(path).model)
        detector.init_weights()
        torch.nn.init.normal_(detector.roi_head.bbox_head.fc_cls.weight, std=2.)
        torch.save(dict(state_dict=detector.state_dict()), tmp_path / 'weights.pth')
        return path

    return write


@pytest.fixture
def calibrate(load_tool, monkeypatch, tmp_path, capsys):
    """A function that runs the tool and returns what it prints and the path of the config."""
    tool = load_tool('calibrate.py')

    def run(config, *argv):
        monkeypatch.setattr(sys, 'argv', ['calibrate.py', str(config),
                                          str(tmp_path / 'weights.pth'), *argv])
        path = tool.calibrate(tool.parse_args())
        return capsys.readouterr().out, path

    return run


def test_metrics(config, checkpoint):
    cfg = Config.fromfile(config)
    cfg.load_from = str(checkpoint)
    cfg.experiment_name = f'{Path(config).stem}_{len(list(Path(config).parent.iterdir()))}'
    return Runner.from_cfg(cfg).test()


test_metrics.__test__ = False


def annotate_what_is_found(ann_file, candidates):
    """Make the best box of each class in an image the objects of that image."""
    data, annotations = json.loads(ann_file.read_text()), []
    for image_id, image in Candidates(candidates):
        boxes = image.bboxes.view(len(image), -1, 4)
        for label, category in enumerate(data['categories']):
            roi = image.logits.softmax(1)[:, label].argmax()
            x, y, x2, y2 = boxes[roi, label % boxes.size(1)].tolist()
            annotations.append(dict(
                id=len(annotations) + 1, image_id=image_id, category_id=category['id'],
                bbox=[x, y, x2 - x, y2 - y], area=(x2 - x) * (y2 - y),
                segmentation=[[x, y, x2, y, x2, y2, x, y2]]))
    ann_file.write_text(json.dumps(dict(data, annotations=annotations)))


def rows(path):
    with path.open() as file:
        return list(csv.reader(file))


def test_curve_picture_and_config_agree_with_tests_of_the_config(run_config, calibrate, tmp_path):
    config, folder = run_config(), tmp_path / 'work/calibration'
    calibrate(config, '--share', '1', '--sweep', 'gamma=0')
    annotate_what_is_found(tmp_path / 'annotations/lvis_v1_train.json', folder / 'candidates')
    _, path = calibrate(config, '--share', '1', '--sweep', 'gamma=0,4,2')
    assert path == folder / 'config_NorCal.py' and (folder / 'NorCal.png').stat().st_size > 5000
    header, plain, *values = rows(folder / 'NorCal.csv')
    assert header == ['gamma', 'AP', 'APr', 'APc', 'APf'] and len(values) == 3
    assert plain[1:] == values[0][1:] and len({tuple(row[1:]) for row in values}) == 3
    # All images are held out: what the curve says is what tests say, with and without.
    metrics = test_metrics(config, tmp_path / 'weights.pth')
    assert float(plain[1]) == pytest.approx(metrics['lvis/bbox_AP'], abs=1e-7)
    cfg = Config.fromfile(path)
    assert cfg.model.test_cfg.rcnn.calibrator.gamma == float(
        max(values, key=lambda row: float(row[1]))[0])
    cfg.model.test_cfg.rcnn.calibrator.gamma = 4.0
    cfg.dump(tmp_path / 'gamma4.py')
    metrics = test_metrics(tmp_path / 'gamma4.py', tmp_path / 'weights.pth')
    for key, ap in zip(header[1:], values[1][1:], strict=True):
        assert float(ap) == pytest.approx(metrics[f'lvis/bbox_{key}'], abs=1e-7)


def test_candidates_are_made_once_and_again_for_other_images_or_weights(
        run_config, calibrate, tmp_path, monkeypatch):
    runs = []
    test = Runner.test
    monkeypatch.setattr(Runner, 'test', lambda self: runs.append(1) or test(self))
    config = run_config()
    again = ['--share', '0.4', '--min-images', '1']
    calibrate(config, *again, '--sweep', 'gamma=1')
    held_out = json.loads((tmp_path / 'work/calibration/held_out.json').read_text())
    assert len(held_out['images']) == 3  # one of each class at least; some share an image
    for calibrator, sweep in (('LogN', []), ('TauNorm', ['--sweep', 'tau=1']),
                              ('FRACAL', ['--sweep', 'lambda_=2,3'])):
        _, path = calibrate(config, *again, '--calibrator', calibrator, *sweep)
        cfg = Config.fromfile(path)
        assert cfg.model.test_cfg.rcnn.calibrator.type == calibrator
        assert rows(tmp_path / f'work/calibration/{calibrator}.csv')
    assert len(runs) == 1
    calibrate(config, '--share', '1', '--sweep', 'gamma=1')
    assert len(runs) == 2
    weights = torch.load(tmp_path / 'weights.pth')
    torch.save(dict(weights, meta={}), tmp_path / 'weights.pth')
    calibrate(config, '--share', '1', '--sweep', 'gamma=1')
    assert len(runs) == 3


def test_a_config_with_statistics_of_its_own_and_an_earlier_calibrator_tests(
        run_config, calibrate, tmp_path):
    run_config(loss='ObjectnessBCELoss')
    text = "model = dict(test_cfg=dict(rcnn=dict(calibrator=dict(type='Temperature', " \
           'temperature=3.0))))'
    earlier = tmp_path / 'earlier.py'
    earlier.write_text(f"_base_ = './config.py'\n{text}\n")
    _, path = calibrate(earlier, '--calibrator', 'LogN', '--cfg-options',
                        'model.test_cfg.rcnn.max_per_img=7')
    rcnn = Config.fromfile(path).model.test_cfg.rcnn
    assert set(rcnn.calibrator) == {'type', 'mean', 'std'} and rcnn.max_per_img == 7
    assert len(rcnn.calibrator.mean) == 3
    assert 0 <= test_metrics(path, tmp_path / 'weights.pth')['lvis/bbox_AP'] <= 1


@pytest.mark.parametrize(('argv', 'named'), [
    (['--sweep', 'gama=0:1:0.5'], r"NorCal, one of \['ann_file', 'counts', 'gamma'\], got 'gama'"),
    (['--sweep', 'gamma=0:1'], 'gamma=0:1'),
    (['--calibrator', 'FCBL'], "--calibrator.*'FCBL'"),
    (['--share', '0'], 'share=.*got 0'),
    (['--select', 'AP9'], "--select expects one of.*'AP9'"),
    (['--max-rois', '0'], '--max-rois expects'),
    (['--sweep', 'gamma=0,-1'], r'NorCal\(gamma=\) expects'),
    (['--calibrator', 'Temperature', '--sweep', 'temperature=1,0'],
     r'Temperature\(temperature=\) expects'),
    (['--launcher', 'pytorch'], 'one process')])
def test_a_wrong_argument_is_refused_before_the_detector_runs(argv, named, run_config, calibrate,
                                                              monkeypatch):
    monkeypatch.delattr(Runner, 'test')
    with pytest.raises(ValueError, match=named):
        calibrate(run_config(), *argv)


def test_another_activation_and_the_evaluated_images_are_refused(run_config, calibrate, tmp_path,
                                                                 monkeypatch):
    monkeypatch.delattr(Runner, 'test')
    config = run_config(loss='ObjectnessBCELoss')
    with pytest.raises(ValueError, match='NorCal is for softmax'):
        calibrate(config)
    with pytest.raises(ValueError, match='of whose 5 images 5 are those of the test_data'):
        copied = tmp_path / 'copied.json'  # another file with the same images
        copied.write_bytes((tmp_path / 'annotations/lvis_v1_train.json').read_bytes())
        calibrate(config, '--holdout-ann', str(copied))


def test_training_images_can_be_given_with_a_warning(run_config, calibrate, tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(choice, 'print_log', lambda text, **_: said.append(text))
    config, train = run_config(), 'annotations/lvis_v1_train.json'
    data = json.loads((tmp_path / train).read_text())
    evaluated = tmp_path / 'evaluated.json'
    evaluated.write_text(json.dumps(dict(data, images=data['images'][:1], annotations=[
        a for a in data['annotations'] if a['image_id'] == 1])))
    rest = tmp_path / 'rest.json'
    rest.write_text(json.dumps(dict(data, images=data['images'][1:], annotations=[
        a for a in data['annotations'] if a['image_id'] > 1])))
    calibrate(config, '--holdout-ann', str(rest), '--sweep', 'gamma=1', '--cfg-options',
              f'test_dataloader.dataset.ann_file={evaluated}')
    assert any('of 4 images of --holdout-ann' in text and 'are training images' in text
               for text in said)


def test_images_that_were_not_trained_on_can_be_given(run_config, calibrate, tmp_path):
    ann_file = tmp_path / 'annotations/lvis_v1_train.json'
    data = json.loads(ann_file.read_text())
    other = tmp_path / 'other.json'
    images = [{key: value for key, value in image.items() if 'category_ids' not in key}
              for image in data['images'][:2]]
    (tmp_path / 'val2017').mkdir()
    for image in images:  # the same pictures, but not the files that are evaluated
        name = f'{image["id"]:012d}.jpg'
        image['coco_url'] = f'http://images.cocodataset.org/val2017/{name}'
        shutil.copy(tmp_path / 'train2017' / name, tmp_path / 'val2017' / name)
    annotations = [a for a in data['annotations'] if a['image_id'] <= 2]
    other.write_text(json.dumps(dict(data, images=images, annotations=annotations)))
    _, path = calibrate(run_config(), '--holdout-ann', str(other), '--sweep', 'gamma=0.5')
    calibrator = Config.fromfile(path).model.test_cfg.rcnn.calibrator
    assert calibrator.ann_file == str(ann_file)  # counts are those of training
    held_out = json.loads((tmp_path / 'work/calibration/held_out.json').read_text())
    assert [image['neg_category_ids'] for image in held_out['images']] == [[5], [7]]
    other.write_text(json.dumps(dict(data, categories=data['categories'][::-1])))
    with pytest.raises(ValueError, match='--holdout-ann expects the 3 categories.*other.json'):
        calibrate(run_config(), '--holdout-ann', str(other))
