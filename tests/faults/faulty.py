"""Faults that happen inside a training process; its config imports this module."""
import os
import signal
from pathlib import Path

import torch
from mmdet.registry import HOOKS
from mmengine.dist import get_rank
from mmengine.hooks import Hook


@HOOKS.register_module()
class KillHook(Hook):
    """Kills the process before an iteration, counted from 0 over all epochs."""

    def __init__(self, iteration):
        self.iteration = iteration

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == self.iteration:
            os.kill(os.getpid(), signal.SIGKILL)


@HOOKS.register_module()
class KillWhileSavingHook(Hook):
    """Kills the process in the middle of writing a file: half of it is on the disk."""

    def __init__(self, name):
        self.name = name

    def before_train(self, runner):
        replace = os.replace

        def die_before(source, target):
            if Path(target).name == self.name:
                os.truncate(source, os.path.getsize(source) // 2)
                os.kill(os.getpid(), signal.SIGKILL)
            replace(source, target)

        os.replace = die_before


@HOOKS.register_module()
class NaNImageHook(Hook):
    """Puts NaN into the images of a rank in some iterations; saves the state before the first."""

    def __init__(self, iterations, rank=0):
        self.iterations = iterations
        self.rank = rank

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter not in self.iterations or get_rank() != self.rank:
            return
        if runner.iter == self.iterations[0]:
            torch.save(dict(state_dict=runner.model.state_dict(),
                            optimizer=runner.optim_wrapper.state_dict(),
                            images=[s.img_path for s in data_batch['data_samples']]),
                       Path(runner.work_dir, 'before.pth'))
        data_batch['inputs'] = [image.float() * torch.nan for image in data_batch['inputs']]


@HOOKS.register_module()
class NaNGradientHook(Hook):
    """Lets a gradient overflow in an iteration whose loss is finite."""

    def __init__(self, iteration):
        self.iteration = iteration

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == self.iteration:
            parameter = runner.model.roi_head.bbox_head.fc_cls.weight
            parameter.register_hook(lambda gradient: gradient * torch.inf)


@HOOKS.register_module()
class TellDtypesHook(Hook):
    """Logs the types of logits and loss in every step, and of the model's state in the end."""

    def before_train(self, runner):
        head = runner.model.roi_head.bbox_head
        head.fc_cls.register_forward_hook(
            lambda module, args, output: runner.logger.info(f'LOGITS {output.dtype}'))
        head.loss_cls.register_forward_hook(
            lambda module, args, output: runner.logger.info(f'LOSS {output.dtype}'))

    def after_train(self, runner):
        for name, tensor in runner.model.state_dict().items():
            runner.logger.info(f'STATE {name} {tensor.dtype}')
