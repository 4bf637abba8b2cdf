"""One rank of the tests in test_state_across_ranks.py: python worker.py CASE OUT_DIR [as-gpu].

With as-gpu, groups of samples are made as on a GPU, where their number is not known.
"""
import sys
from pathlib import Path
from types import SimpleNamespace

import bacl  # noqa: F401
import bacl.ops.class_groups
import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F
from bacl.annotations import ClassTable
from bacl.engine.hooks import MetaReweightHook
from bacl.models.augmenters import FASA, ClassFeatureDistribution, FeatureMemory, Samples
from bacl.models.losses import (
    ContrastivePairLoss,
    EqualizationLossV2,
    EqualizedFocalLoss,
    EquilibriumLoss,
    MetaBalancedSigmoidLoss,
    PairwiseBalancedSeesawLoss,
    ROGLoss,
)
from bacl.models.predictors import TDELinear
from bacl.models.roi_heads import IterativeBBoxHead, SimCalRoIHead
from mmdet.models.task_modules import SamplingResult
from mmdet.registry import MODELS
from mmdet.testing import demo_mm_inputs
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.dist import all_reduce
from mmengine.model import MMDistributedDataParallel
from mmengine.registry import init_default_scope
from torch import nn
from torch.utils.data import DataLoader, Dataset

CONFIGS = dict(
    faster='configs/bacl/faster-rcnn_effnet-lite0_emoji-lt-mini_stage2-bacl.py',
    cascade='configs/bacl/cascade-rcnn_r50_fpn_bacl-stage2_lvis-v1.py',
    loce='configs/loce/faster-rcnn_effnet-lite0_emoji-lt-mini_stage2-loce.py',
    pcb='configs/pcb/faster-rcnn_effnet-lite0_emoji-lt-mini_pcb.py',
    meta='configs/balms/faster-rcnn_r50_fpn_balms-meta-stage2_lvis-v0.5.py',
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


def observe(*parts):
    """Feed `parts`, a slice of each step for every rank, of the common stream; return the states.

    A rank has its own part; one process that stands for both ranks has both, one after the other.
    """
    split = slice(parts[0].start, parts[-1].stop)
    indicators = nn.ModuleList(MODELS.build(indicator, default_args=dict(num_classes=C))
                               for indicator in INDICATORS)
    distribution, eqlv2 = ClassFeatureDistribution(C, D), EqualizationLossV2(C)
    others = nn.ModuleDict(dict(
        equilibrium=EquilibriumLoss(C), fasa=FASA(C, D, counts=[1] * C), tde=TDELinear(D, C + 1),
        seesaw=PairwiseBalancedSeesawLoss(C),  # with counts and a confusion matrix
        efl=EqualizedFocalLoss(C, reduction='sum'), rog=ROGLoss(C),
        **{keep: FeatureMemory(C, D, 2, keep) for keep in ('first', 'last')}))
    for parameter in others.tde.parameters():
        parameter.data.zero_()  # drawn by each rank
    for step in range(STEPS):
        logits, feats, labels = (tensor[split] for tensor in samples(step))
        others.fasa.start_epoch(step)  # adapts to the step before
        for indicator in indicators:
            indicator.observe(logits, labels)
        eqlv2(logits, labels)
        distribution.observe(feats[labels < C], labels[labels < C])
        others.equilibrium(logits, labels)
        others.seesaw(F.pad(logits, (0, 1)), labels)
        others.rog(logits, labels)
        others.efl(logits[:, :C].clone().requires_grad_(), labels).backward()
        others.fasa(Samples(feats, labels), None, None)
        others.fasa.observe(logits, labels, len(labels))
        others.tde.observe(feats, labels)
        for keep in ('first', 'last'):
            others[keep].push(Samples(feats, labels, feats))
    return {**indicators.state_dict(), **distribution.state_dict(), **eqlv2.state_dict(),
            **{f'others.{name}': value.nan_to_num() for name, value in others.state_dict().items()},
            **iterate(split), **learn_weights(*parts), 'simcal.loss': calibrate(split),
            **contrast(split)}


def contrast(split):
    """Loss of pairs, and its gradient in the mean over ranks, as DDP takes it."""
    weight = torch.randn(D, 3, generator=torch.Generator().manual_seed(0)).requires_grad_()
    total = 0
    for step in range(STEPS):
        logits, feats, labels = (tensor[split] for tensor in samples(step))
        total = total + ContrastivePairLoss()(feats @ weight, logits[:, :D] @ weight, labels)
    total.backward()
    all_reduce(weight.grad, 'mean')
    return {'contrast.loss': total.detach(), 'contrast.grad': weight.grad}


def iterate(split):
    """States of a loss in a head that passes RoIs through it twice, and sees it once each."""
    torch.manual_seed(0)
    head = IterativeBBoxHead(
        iteration_weights=(0.5, 0.5), num_classes=C, in_channels=D, fc_out_channels=8,
        num_hidden=5, roi_feat_size=1, loss_bbox=dict(type='L1Loss'),
        loss_cls=dict(type='PairwiseBalancedSoftmaxLoss', soft_start=0, momentum=0.3))
    for step in range(STEPS):
        _, feats, labels = samples(step)
        # mmdet's heads ask no loss where a rank has not a single RoI: one of background.
        feats = torch.cat([feats[:1], feats[split]])
        labels = torch.cat([torch.full((1,), C), labels[split]])
        head.loss(*head(10 * feats[:, :, None, None]), torch.zeros(len(labels), 5), labels,
                  torch.ones(len(labels)), torch.zeros(len(labels), 4), torch.ones(len(labels), 4))
    return {f'iterative.{name}': value for name, value in head.loss_cls.state_dict().items()}


def learn_weights(*parts):
    """State after meta steps against the mean of the gradients of all ranks, whose are `parts`."""
    loss = MetaBalancedSigmoidLoss(C, counts=[9, 7, 5, 3, 0], num_images=9)
    parameters = [torch.randn(C, D, generator=torch.Generator().manual_seed(0)), torch.zeros(C)]
    momenta, grads = [torch.zeros_like(parameter) for parameter in parameters], []
    adam_step, loss.adam_step = loss.adam_step, grads.append
    for step in range(STEPS):
        _, feats, labels = samples(step)
        _, meta_feats, meta_labels = samples(STEPS + step)
        for part in parts:
            loss.meta_step(feats[part], labels[part], meta_feats[part], meta_labels[part],
                           parameters, momenta, lr=0.1)
        adam_step(torch.stack(grads).mean(0))
        grads.clear()
    return {f'meta.{name}': value for name, value in loss.state_dict().items()}


def calibrate(split):
    """SimCal's loss, in the mean over ranks, of RoIs of which every second is of a drawn class.

    Background would be drawn, by each rank its own, so there is none.
    """
    torch.manual_seed(0)
    roi_head = SimCalRoIHead(
        bbox_head=dict(type='Shared2FCBBoxHead', in_channels=D, fc_out_channels=8, roi_feat_size=1,
                       num_classes=C, loss_cls=dict(type='SoftmaxCELoss')),
        bbox_roi_extractor=dict(
            type='SingleRoIExtractor', roi_layer=dict(type='RoIAlign', output_size=1),
            out_channels=D, featmap_strides=[4]),
        calibration_loss=dict(type='SoftmaxCELoss'), threshold=1, counts=[1] * C)
    roi_head.train_cfg = Config(dict(pos_weight=-1))
    _, feats, labels = samples(0)
    labels, drawn = labels % C, (labels + torch.arange(len(labels)) % 2) % C
    # Every rank has an image; the first of these has nothing of its class.
    feats, labels, drawn = (torch.cat([values[:1], values[split]])
                            for values in (feats, labels, drawn))
    drawn[0] = (labels[0] + 1) % C
    roi_head._drawn = drawn.tolist()
    box, none = torch.tensor([[0.0, 0, 8, 8]]), torch.tensor([], dtype=torch.long)
    images = [SamplingResult(
        none.new_zeros(1), none, box, box,
        SimpleNamespace(gt_inds=torch.ones(1, dtype=torch.long), labels=label[None], num_gts=1),
        torch.zeros(1, dtype=torch.uint8)) for label in labels]
    loss = roi_head.calibration_loss(0, feats[:, :, None, None], images).detach()
    all_reduce(loss, 'mean')
    return loss


class DemoImages(Dataset):
    """Images of which the second has no object."""

    def __len__(self):
        return 3

    def get_data_info(self, index):
        return dict(instances=[dict(bbox_label=index, ignore_flag=0)] * (index != 1))

    def __getitem__(self, index):
        data = demo_mm_inputs(1, [[3, 64, 64]], num_items=[3 * (index != 1)],
                              num_classes=NUM_CLASSES)
        return dict(inputs=data['inputs'][0], data_samples=data['data_samples'][0])


def meta_reweight_hook(model, optimizer):
    """The hook and a runner with what it asks for."""
    hook, runner = MetaReweightHook(), SimpleNamespace(
        model=model, epoch=0, seed=0, optim_wrapper=SimpleNamespace(optimizer=optimizer),
        train_dataloader=DataLoader(DemoImages(), 1, collate_fn=pseudo_collate))
    hook.before_train(runner)
    return hook, runner


def detector_config(name):
    """Model of a config; one of 1,203 classes and ResNet-50 on few classes and ResNet-18."""
    cfg = Config.fromfile(CONFIGS[name]).model
    heads = cfg.roi_head.bbox_head if name == 'cascade' else [cfg.roi_head.bbox_head]
    for head in heads:
        head.update(num_classes=NUM_CLASSES, fc_out_channels=32)
    if cfg.backbone.type == 'ResNet':
        cfg.backbone.depth = 18
        cfg.neck.in_channels = [64, 128, 256, 512]
    if name == 'cascade':
        cfg.train_cfg.rpn_proposal.max_per_img = 50
    if name == 'meta':
        cfg.roi_head.bbox_head.loss_cls.update(counts=[1] * NUM_CLASSES, num_images=9)
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
    if name == 'meta':
        hook, runner = meta_reweight_hook(model, optimizer)
    for step, has_objects in enumerate([(3, 3), (3, 0), (0, 3), (0, 0)]):
        data = demo_mm_inputs(1, [[3, 64, 64]], num_items=[has_objects[rank]],
                              num_classes=NUM_CLASSES)
        for sample in data['data_samples']:
            labels = sample.gt_instances.labels
            sample.set_metainfo(dict(sampled_class=int(labels[0]) if len(labels) else 0))
        if name == 'meta':
            if step % 3 == 0:  # the dataset has three images
                hook.before_train_epoch(runner)
            hook.before_train_iter(runner, step, data)
        losses = model(**model.module.data_preprocessor(data, True), mode='loss')
        total = sum(sum(v) if isinstance(v, list) else v
                    for k, v in losses.items() if 'loss' in k)
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
    return {k: v for k, v in model.module.state_dict().items()
            if any(part in k for part in ('loss_cls', 'augmenters', 'fc_cls'))}


def image_level_config(case):
    """Model of a detector of two stages, or of DINO, with a teacher of no weights."""
    sys.path.append(str(Path(__file__).parents[1] / 'support'))  # which pytest knows
    from cascade import as_cascade, with_centernet
    from small_dino import small_dino

    if case == 'image-level-dino':
        return small_dino(Config.fromfile(
            'configs/richsem/dino-4scale_r50_richsem-12e_lvis-v1.py').model, NUM_CLASSES)
    name = 'clis' if case == 'image-level-clis' else 'richsem'
    cfg = Config.fromfile(f'configs/{name}/faster-rcnn_effnet-lite0_emoji-lt-mini_{name}.py').model
    if name == 'richsem':
        branch = cfg.roi_head.semantic_branch
        cfg.teacher = dict(
            type='RandomTeacher', embed_dims=branch.embed_dims, scale=branch.scale)
    cfg.roi_head.bbox_head.loss_cls = dict(type='EqualizationLossV2')  # has sums over ranks
    return with_centernet(as_cascade(cfg)) if case == 'image-level-centernet' else cfg


def train_on_image_level_data(case):
    """Steps of DDP in which one rank, both or none have images without boxes, or without labels."""
    init_default_scope('mmdet')
    torch.manual_seed(0)
    model = MODELS.build(image_level_config(case)).train()
    if hasattr(model, 'level_embed'):  # of a DETR, which is made without values
        nn.init.normal_(model.level_embed)
    counts = np.ones(NUM_CLASSES, dtype=int)
    table = ClassTable([f'class {c}' for c in range(NUM_CLASSES)], counts, counts, NUM_CLASSES)
    for module in model.modules():
        if hasattr(module, 'set_class_counts'):
            module.set_class_counts(table)
    model = MMDistributedDataParallel(model, broadcast_buffers=False, device_ids=None)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1e-3)
    rank, names = dist.get_rank(), []
    torch.manual_seed(rank)
    for kinds in [('objects', 'coarse'), ('coarse', 'objects'), ('coarse', 'coarse'),
                  ('objects', 'objects'), ('objects', 'unlabelled'), ('unlabelled', 'coarse')]:
        kind = kinds[rank]
        data = demo_mm_inputs(1, [[3, 64, 64]], num_items=[2], num_classes=NUM_CLASSES)
        if case == 'image-level-clis':  # the second image is always detection data, with the first
            data = demo_mm_inputs(2, [[3, 64, 64]] * 2, num_items=[1, 2], num_classes=NUM_CLASSES)
            for sample in data['data_samples'] if kind == 'coarse' else ():
                sample.set_metainfo(dict(pair_id=0))
        single = data['data_samples'][0]
        for sample in data['data_samples']:
            sample.set_metainfo(dict(batch_input_shape=(64, 64)))
        single.set_metainfo(dict(source=None if kind == 'objects' else 'image_level'))
        if kind == 'unlabelled':
            single.gt_instances.labels.fill_(-1)
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
    if case.startswith('image-level'):
        state = train_on_image_level_data(case)
    elif case in CONFIGS:
        state = train_with_an_empty_rank(case)
    else:
        border = int(case)
        state = observe(slice(0, border) if rank == 0 else slice(border, 12))
    torch.save(state, out_dir / f'{rank}.pth')
    dist.destroy_process_group()
