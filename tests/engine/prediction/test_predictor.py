import bacl  # noqa: F401
import cv2
import pytest
import torch
from bacl.engine.prediction.predictor import Predictor
from mmdet.registry import DATASETS, MODELS
from mmengine.config import Config
from mmengine.dataset import pseudo_collate


@pytest.fixture(scope='module')
def predictor(detector):
    config, checkpoint, _ = detector
    return Predictor(str(config), str(checkpoint), 'cpu')


def test_predictions_are_those_of_a_test(predictor, detector):
    config, checkpoint, root = detector
    cfg = Config.fromfile(config)
    model = MODELS.build(cfg.model).eval()
    model.load_state_dict(torch.load(checkpoint, weights_only=True)['state_dict'])
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    for index in (0, 1):
        with torch.no_grad():
            expected, = model.test_step(pseudo_collate([dataset[index]]))
        found = predictor(cv2.imread(dataset.get_data_info(index)['img_path'])).pred_instances
        assert len(found.scores) == 20
        for key in ('bboxes', 'scores', 'labels'):
            assert torch.equal(found[key], expected.pred_instances[key]), key
    assert predictor.class_names == ('yoke', 'acorn', 'zebra') and predictor.num_classes == 3
    assert predictor.decoding == dict(imdecode_backend='cv2')


def test_settings_of_the_config_are_overridden(detector):
    config, checkpoint, root = detector
    predictor = Predictor(str(config), str(checkpoint), 'cpu',
                          {'model.test_cfg.rcnn.max_per_img': 2})
    image = cv2.imread(str(root / 'train2017/000000000001.jpg'))
    assert len(predictor(image).pred_instances) == 2


def test_neither_annotations_nor_a_folder_for_curves_are_needed(detector, tmp_path, monkeypatch):
    config, checkpoint, root = detector
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'moved.py').write_text(
        f"_base_ = '{config}'\ntest_dataloader = dict(dataset=dict(data_root='nowhere'))\n"
        "visualizer = dict(type='DetLocalVisualizer', name='visualizer', "
        "vis_backends=[dict(type='LocalVisBackend')])\n")
    predictor = Predictor('moved.py', str(checkpoint), 'cpu')
    predictor(cv2.imread(str(root / 'train2017/000000000001.jpg')))
    assert [path.name for path in tmp_path.iterdir()] == ['moved.py']


def test_a_checkpoint_that_does_not_fit_is_refused(detector, tmp_path):
    config, checkpoint, _ = detector
    content = torch.load(checkpoint, weights_only=True)
    state = content['state_dict']
    changes = {
        'lacks': {k: v for k, v in state.items() if 'fc_cls' not in k},
        'misfits': {**state, 'roi_head.bbox_head.fc_cls.bias': torch.zeros(9)}}
    for name, changed in changes.items():
        torch.save(dict(state_dict=changed), tmp_path / f'{name}.pth')
        with pytest.raises(ValueError, match=rf'{name}\.pth does not fit the model: .*fc_cls'):
            Predictor(str(config), str(tmp_path / f'{name}.pth'), 'cpu')
    torch.save(dict(state_dict=state), tmp_path / 'bare.pth')
    bare = Predictor(str(config), str(tmp_path / 'bare.pth'), 'cpu')
    assert bare.class_names is None and bare.num_classes == 3


def test_missing_files_and_settings_are_named(detector, tmp_path):
    config, checkpoint, _ = detector
    with pytest.raises(FileNotFoundError, match=r"config expects an existing file, got 'no\.py'"):
        Predictor('no.py', str(checkpoint))
    with pytest.raises(FileNotFoundError, match='checkpoint expects an existing file'):
        Predictor(str(config), 'no.pth')
    for device in ('cuda:99', 'nowhere'):
        with pytest.raises(ValueError, match=f"--device expects .* got '{device}'"):
            Predictor(str(config), str(checkpoint), device)
    untested = tmp_path / 'untested.py'
    untested.write_text(f"_base_ = '{config}'\ntest_dataloader = None\n")
    with pytest.raises(ValueError, match='A prediction expects a test_dataloader'):
        Predictor(str(untested), str(checkpoint))
