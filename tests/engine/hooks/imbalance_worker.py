"""Small trainings with the ImbalanceHook; as a program, one rank: imbalance_worker.py OUT_DIR."""
import itertools
import sys
from pathlib import Path
from types import SimpleNamespace

import bacl  # noqa: F401
import numpy as np
import torch
import torch.distributed as dist
from bacl.annotations import ClassTable
from bacl.annotations.class_table import LVIS_GROUPS
from bacl.engine.hooks import ImbalanceHook
from mmdet.registry import MODELS
from mmdet.testing import demo_mm_inputs
from mmengine.config import Config
from mmengine.logging import MessageHub
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import OptimWrapper
from mmengine.registry import init_default_scope

CONFIGS = dict(
    stage1='configs/baselines/faster-rcnn_effnet-lite0_emoji-lt-mini_stage1.py',
    stage2='configs/bacl/faster-rcnn_effnet-lite0_emoji-lt-mini_stage2-bacl.py',
    cascade='configs/bacl/cascade-rcnn_r50_fpn_bacl-stage2_lvis-v1.py')
NUM_CLASSES = 120
RUN_NUMBERS = itertools.count()  # message hubs live as long as the process


def detector(name):
    """Model of a config; a cascade of few classes and ResNet-18 instead of the real one."""
    cfg = Config.fromfile(CONFIGS[name]).model
    if name == 'cascade':
        cfg.backbone.depth = 18
        cfg.neck.in_channels = [64, 128, 256, 512]
        for head in cfg.roi_head.bbox_head:
            head.update(num_classes=NUM_CLASSES, fc_out_channels=32)
        cfg.train_cfg.rpn_proposal.max_per_img = 50
    torch.manual_seed(0)
    return MODELS.build(cfg).train()


class Loader(list):
    """Batches; the loader of a dataset that knows its class counts."""

    dataset = SimpleNamespace(
        metainfo=dict(classes=[f'class {label}' for label in range(NUM_CLASSES)]),
        class_table=lambda: ClassTable(
            tuple(f'class {label}' for label in range(NUM_CLASSES)),
            np.ones(NUM_CLASSES, dtype=int), np.arange(NUM_CLASSES), 100, LVIS_GROUPS,
            np.arange(NUM_CLASSES) % 3))


def batches(num_objects=(3, 2, 1), seed=0):
    """Two images of noise a step."""
    torch.manual_seed(seed)
    np.random.seed(seed)
    return Loader(demo_mm_inputs(2, [[3, 64, 64]] * 2, num_items=[number, number],
                                 num_classes=NUM_CLASSES) for number in num_objects)


def runner(model, work_dir, loader):
    """What the hook needs of a runner."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    return SimpleNamespace(
        model=model, work_dir=str(work_dir), train_dataloader=loader, iter=0, epoch=0,
        message_hub=MessageHub.get_instance(f'imbalance{next(RUN_NUMBERS)}'),
        optim_wrapper=OptimWrapper(torch.optim.SGD(parameters, lr=0.01)))


def train(run, hook=None, num_epochs=1, on_step=lambda batch_idx: None):
    """Epochs over the batches, with the calls that mmengine makes; returns the last outputs."""
    torch.manual_seed(1)
    if hook:
        hook.before_train(run)
    for _ in range(num_epochs):
        if hook:
            hook.before_train_epoch(run)
        for batch_idx, data in enumerate(run.train_dataloader):
            if hook:
                hook.before_train_iter(run, batch_idx, data)
            outputs = run.model.train_step(data, run.optim_wrapper)
            if hook:
                hook.after_train_iter(run, batch_idx, data, outputs)
            run.iter += 1
            on_step(batch_idx)
        if hook:
            hook.after_train_epoch(run)
        run.epoch += 1
    return outputs


def state_bytes(model):
    """All weights and buffers, bit by bit, and where the random numbers are."""
    state = {name: value.numpy().tobytes() for name, value in model.state_dict().items()}
    return {**state, 'random': torch.get_rng_state().numpy().tobytes()}


if __name__ == '__main__':
    out_dir = Path(sys.argv[1])
    init_default_scope('mmdet')
    dist.init_process_group('gloo')
    rank = dist.get_rank()
    states, hooks = [], [None, ImbalanceHook(interval=2)]
    for hook in hooks:
        # The second rank has other images, the last of them without objects.
        loader = batches((3, 2, 1) if rank == 0 else (2, 1, 0), seed=rank)
        model = MMDistributedDataParallel(detector('stage2'), broadcast_buffers=False,
                                          device_ids=None)
        train(runner(model, out_dir, loader), hook)
        states.append(state_bytes(model.module))
    torch.save(dict(is_equal=states[0] == states[1]), out_dir / f'{rank}.pth')
    dist.destroy_process_group()
