"""One rank of the tests in test_state_across_ranks.py: python worker.py CASE OUT_DIR [as-gpu].

With as-gpu, groups of samples are made as on a GPU, where their number is not known.
"""
import sys
from pathlib import Path
from types import SimpleNamespace

import bacl  # noqa: F401
import bacl.ops.class_groups
import torch
import torch.distributed as dist
import torch.nn.functional as F
from bacl.models.augmenters import FASA, ClassFeatureDistribution, FeatureMemory, Samples
from bacl.models.losses import (
    EqualizationLossV2,
    EqualizedFocalLoss,
    EquilibriumLoss,
    PairwiseBalancedSeesawLoss,
)
from bacl.models.predictors import TDELinear
from mmdet.registry import MODELS
from mmdet.testing import demo_mm_inputs
from mmengine.config import Config
from mmengine.model import MMDistributedDataParallel
from mmengine.registry import init_default_scope
from torch import nn

CONFIGS = dict(
    faster='configs/bacl/faster-rcnn_effnet-lite0_emoji-lt-mini_stage2-bacl.py',
    cascade='configs/bacl/cascade-rcnn_r50_fpn_bacl-stage2_lvis-v1.py',
    loce='configs/loce/faster-rcnn_effnet-lite0_emoji-lt-mini_stage2-loce.py',
    simcal='configs/simcal/faster-rcnn_effnet-lite0_emoji-lt-mini_stage2-simcal.py')
C, D, STEPS = 5, 4, 3
NUM_CLASSES = 120  # of the detectors
INDICATORS = [dict(type='ImageFrequency', counts=[9, 7, 5, 3, 0]),
              dict(type='InstanceFrequency', counts=[9, 7, 5, 3, 0]),
              dict(type='CumulativeInstanceNumber'), dict(type='MeanClassificationScore'),
              dict(type='TruePositiveRate'), dict(type='ConfusionMatrix'),
              dict(type='ConfusionMatrix', hard=True),
              dict(type='ConfusionMatrix', dtype='float32')]


def samples(step):
    generator = torch.Generator().manual_seed(step)
    logits = torch.randn(12, C + 1, generator=generator)
    feats = torch.randn(12, D, generator=generator)
    return logits, feats, torch.randint(C + 1, (12,), generator=generator)


def observe(split):
    """Feed `split` (a slice per step) of the common stream; return the states."""
    indicators = nn.ModuleList(MODELS.build(indicator, default_args=dict(num_classes=C))
                               for indicator in INDICATORS)
    distribution, eqlv2 = ClassFeatureDistribution(C, D), EqualizationLossV2(C)
    others = nn.ModuleDict(dict(
        equilibrium=EquilibriumLoss(C), fasa=FASA(C, D, counts=[1] * C), tde=TDELinear(D, C + 1),
        seesaw=PairwiseBalancedSeesawLoss(C),  # with counts and a confusion matrix
        efl=EqualizedFocalLoss(C, reduction='sum'),
        **{keep: FeatureMemory(C, D, 2, keep) for keep in ('first', 'last')}))
    for parameter in others.tde.parameters():
        parameter.data.zero_()  # drawn by each rank
    for step in range(STEPS):
        logits, feats, labels = (tensor[split] for tensor in samples(step))
        for indicator in indicators:
            indicator.observe(logits, labels)
        eqlv2(logits, labels)
        distribution.observe(feats[labels < C], labels[labels < C])
        others.equilibrium(logits, labels)
        others.seesaw(F.pad(logits, (0, 1)), labels)
        others.efl(logits[:, :C].clone().requires_grad_(), labels).backward()
        others.fasa(Samples(feats, labels), None, None)
        others.fasa.observe(logits, labels, len(labels))
        others.tde.observe(feats, labels)
        for keep in ('first', 'last'):
            others[keep].push(Samples(feats, labels, feats))
    return {**indicators.state_dict(), **distribution.state_dict(), **eqlv2.state_dict(),
            **{f'others.{name}': value.nan_to_num() for name, value in others.state_dict().items()}}


def detector_config(name):
    """Model of a config; a cascade of 1,203 classes and ResNet-50 on few classes and ResNet-18."""
    cfg = Config.fromfile(CONFIGS[name]).model
    if name == 'cascade':
        cfg.backbone.depth = 18
        cfg.neck.in_channels = [64, 128, 256, 512]
        for head in cfg.roi_head.bbox_head:
            head.update(num_classes=NUM_CLASSES, fc_out_channels=32)
        cfg.train_cfg.rpn_proposal.max_per_img = 50
    return cfg


def train_with_an_empty_rank(name):
    """Steps of DDP in which one rank, then the other, then both have no ground truth."""
    init_default_scope('mmdet')
    torch.manual_seed(0)
    model = MODELS.build(detector_config(name)).train()
    model = MMDistributedDataParallel(model, broadcast_buffers=False, device_ids=None)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.01)
    rank = dist.get_rank()
    torch.manual_seed(rank)
    for _step, has_objects in enumerate([(3, 3), (3, 0), (0, 3), (0, 0)]):
        data = demo_mm_inputs(1, [[3, 64, 64]], num_items=[has_objects[rank]],
                              num_classes=NUM_CLASSES)
        for sample in data['data_samples']:
            labels = sample.gt_instances.labels
            sample.set_metainfo(dict(sampled_class=int(labels[0]) if len(labels) else 0))
        losses = model(**model.module.data_preprocessor(data, True), mode='loss')
        total = sum(sum(v) if isinstance(v, list) else v
                    for k, v in losses.items() if 'loss' in k)
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
    return {k: v for k, v in model.module.state_dict().items()
            if 'indicator' in k or 'augmenters' in k or 'fc_cls' in k}


def train_on_image_level_data():
    """Steps of DDP in which one rank, both or none have images without boxes."""
    init_default_scope('mmdet')
    torch.manual_seed(0)
    cfg = Config.fromfile('configs/richsem/faster-rcnn_effnet-lite0_emoji-lt-mini_richsem.py').model
    cfg.backbone.init_cfg = None
    cfg.teacher = dict(type='RandomTeacher', embed_dims=cfg.roi_head.semantic_branch.embed_dims)
    cfg.roi_head.bbox_head.loss_cls = dict(type='EqualizationLossV2')  # has sums over ranks
    model = MODELS.build(cfg).train()
    model.set_class_counts(SimpleNamespace(names=[f'class {c}' for c in range(NUM_CLASSES)]))
    model = MMDistributedDataParallel(model, broadcast_buffers=False, device_ids=None)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.01)
    rank, names = dist.get_rank(), []
    torch.manual_seed(rank)
    for is_coarse in [(False, True), (True, False), (True, True), (False, False)]:
        data = demo_mm_inputs(1, [[3, 64, 64]], num_items=[2], num_classes=NUM_CLASSES)
        for sample in data['data_samples']:
            sample.set_metainfo(dict(source='image_level' if is_coarse[rank] else None))
        losses = model(**model.module.data_preprocessor(data, True), mode='loss')
        total = sum(sum(v) if isinstance(v, list) else v
                    for k, v in losses.items() if 'loss' in k)
        names.append(sorted(k for k in losses if 'loss' in k))
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
    assert all(each == names[0] for each in names), names
    return model.module.state_dict()


if __name__ == '__main__':
    case, out_dir = sys.argv[1], Path(sys.argv[2])
    if sys.argv[3:] == ['as-gpu']:
        bacl.ops.class_groups.is_on_cpu = lambda tensor: False
    dist.init_process_group('gloo')
    rank = dist.get_rank()
    if case == 'image-level':
        state = train_on_image_level_data()
    elif case in CONFIGS:
        state = train_with_an_empty_rank(case)
    else:
        border = int(case)
        state = observe(slice(0, border) if rank == 0 else slice(border, None))
    torch.save(state, out_dir / f'{rank}.pth')
    dist.destroy_process_group()
