"""A tiny detector with random weights, of the classes of the tiny LVIS dataset."""
from pathlib import Path

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope

BASE = Path(__file__).parents[3] / 'configs/_base_/models/faster-rcnn_effnet-lite0_fpn.py'
NAMES = ('yoke', 'acorn', 'zebra')

CONFIG = '''
_base_ = '{base}'
default_scope = 'mmdet'
custom_imports = dict(imports=['bacl'], allow_failed_imports=False)
model = dict(
    roi_head=dict(bbox_head=dict(num_classes=3)),
    test_cfg=dict(rcnn=dict(score_thr=0., max_per_img=20)))
pipeline = [
    dict(type='LoadImageFromFile', imdecode_backend='cv2'),
    dict(type='Resize', scale=(64, 64), keep_ratio=True),
    dict(type='PackDetInputs', meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape',
                                          'scale_factor'))]
test_dataloader = dict(batch_size=1, dataset=dict(
    type='LongTailLVISV1Dataset', data_root='{root}', ann_file='annotations/lvis_v1_train.json',
    data_prefix=dict(img=''), test_mode=True, pipeline=pipeline))
train_dataloader = test_dataloader
'''


@pytest.fixture(scope='session')
def detector(tmp_path_factory, write_lvis):
    """Paths of config, checkpoint and data."""
    root = write_lvis(tmp_path_factory.mktemp('lvis'), 'v1')
    config = root / 'config.py'
    config.write_text(CONFIG.format(base=BASE, root=root))
    init_default_scope('mmdet')
    torch.manual_seed(0)
    model = MODELS.build(Config.fromfile(config).model)
    torch.save(dict(state_dict=model.state_dict(), meta=dict(dataset_meta=dict(classes=NAMES))),
               root / 'model.pth')
    return config, root / 'model.pth', root
