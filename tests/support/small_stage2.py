"""A small stage 2 with BACL's parts on a tiny LVIS dataset, and banks of it."""
from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace

import torch
from bacl.feature_bank import BankOptions, build_feature_bank
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope

ROOT = Path(__file__).parents[2]
META = ('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor', 'flip')


def make_stage2(folder):
    """Folder with the dataset, config, and weights of stage 1, which are random."""
    init_default_scope('mmdet')
    cfg = stage2_config(folder)
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    model.init_weights()
    torch.nn.init.normal_(model.roi_head.bbox_head.fc_cls.weight, std=0.3)
    weights = {name: value for name, value in model.state_dict().items()
               if 'augmenters' not in name and 'indicator' not in name}
    torch.save(dict(state_dict=weights, meta={}), folder / 'stage1.pth')
    return SimpleNamespace(folder=folder, cfg=cfg, checkpoint=folder / 'stage1.pth')


def stage2_config(data_root):
    """With BACL's parts."""
    model = Config.fromfile(ROOT / 'configs/_base_/models/faster-rcnn_effnet-lite0_fpn.py').model
    model.update(type='DecoupledTwoStageDetector')
    model.backbone.init_cfg = None
    model.train_cfg.rpn_proposal.max_per_img = 30
    model.test_cfg.rcnn.max_per_img = 20
    model.roi_head.type = 'FHMRoIHead'
    model.roi_head.hallucinator = dict(type='FeatureHallucinator', num_sampled_classes=4,
                                       num_features_per_class=3)
    model.roi_head.bbox_head.update(num_classes=3, fc_out_channels=8)
    model.roi_head.bbox_head.loss_cls = dict(type='FCBL')
    load, resize = dict(type='LoadImageFromFile'), dict(type='Resize', scale=(64, 64),
                                                        keep_ratio=True)

    def loader(transforms, shuffle, **dataset):
        return dict(batch_size=2, num_workers=0,
                    sampler=dict(type='DefaultSampler', shuffle=shuffle), dataset=dict(
                        type='LongTailLVISV1Dataset', data_root=str(data_root),
                        ann_file='annotations/lvis_v1_train.json', data_prefix=dict(img=''),
                        pipeline=[*transforms, dict(type='PackDetInputs', meta_keys=META)],
                        **dataset))

    train = [load, dict(type='LoadAnnotations', with_bbox=True), resize,
             dict(type='RandomFlip', prob=0.5), dict(type='DropEmptyGT')]
    test = loader([load, resize], False, test_mode=True)
    evaluator = dict(type='FastLVISMetric', metric='bbox',
                     ann_file=f'{data_root}/annotations/lvis_v1_train.json')
    runtime = Config.fromfile(ROOT / 'configs/_base_/default_runtime.py').to_dict()
    return Config(dict(
        runtime, model=model.to_dict(), randomness=dict(seed=0),
        custom_hooks=[dict(type='LongTermIndicatorHook', interval=1)],
        train_dataloader=loader(train, True, filter_cfg=dict(filter_empty_gt=True)),
        val_dataloader=test, test_dataloader=test, val_evaluator=evaluator,
        test_evaluator=evaluator, val_cfg=dict(), test_cfg=dict(),
        train_cfg=dict(type='EpochBasedTrainLoop', max_epochs=2, val_interval=10),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.01)),
        visualizer=dict(type='DetLocalVisualizer', vis_backends=[dict(type='LocalVisBackend')])))


def build_bank(toy, folder, cfg=None, checkpoint=None, report=lambda line: None, **options):
    build_feature_bank(deepcopy(cfg or toy.cfg), str(checkpoint or toy.checkpoint), folder,
                       BankOptions(**{'dtype': 'float32', **options}), report)
    return folder
