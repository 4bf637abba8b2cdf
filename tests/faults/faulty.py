"""Faults that happen inside a training process; its config imports this module."""
import json
import os
import signal
import zlib
from pathlib import Path

import torch
from bacl.engine.running.launch import is_restarted
from bacl.engine.running.runner_state import unwrapped_model
from mmdet.models.task_modules import RandomSampler
from mmdet.registry import HOOKS, TASK_UTILS
from mmengine.dist import all_gather_object, all_reduce_dict, get_rank
from mmengine.hooks import Hook


@HOOKS.register_module()
class KillHook(Hook):
    """Kills a rank before an iteration, counted from 0 over all epochs; not after a restart.

    Or before another one then.
    """

    def __init__(self, iteration, rank=0, restarted=None):
        self.iteration = iteration
        self.rank = rank
        self.restarted = restarted

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        iteration = self.restarted if is_restarted() else self.iteration
        if runner.iter == iteration and get_rank() == self.rank:
            os.kill(os.getpid(), signal.SIGKILL)


@HOOKS.register_module()
class TellPidHook(Hook):
    """Prints the process of each rank."""

    def before_train(self, runner):
        print(f'RANK {get_rank()} IS {os.getpid()}', flush=True)


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



@HOOKS.register_module()
class EmptyBatchHook(Hook):
    """Takes the ground truth from a batch: in iteration i from the ranks ``ranks[i]``."""

    def __init__(self, ranks):
        self.ranks = ranks

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if get_rank() in self.ranks[runner.iter]:
            for sample in data_batch['data_samples']:
                sample.gt_instances = sample.gt_instances[:0]


@HOOKS.register_module()
class SameStateHook(Hook):
    """Ends the run if ranks differ in a parameter or a buffer of the checkpoint; says if not."""

    def after_train_epoch(self, runner):
        state = unwrapped_model(runner).state_dict()
        states = all_gather_object({name: zlib.crc32(tensor.cpu().numpy().tobytes())
                                    for name, tensor in state.items()})
        differ = [name for name in state if len({state[name] for state in states}) > 1]
        if differ:
            raise RuntimeError(f'Ranks differ in {differ}.')
        runner.logger.info(f'SAME STATE on {len(states)} ranks')


@HOOKS.register_module()
class LossCurveHook(Hook):
    """Writes the losses of all iterations, means over the ranks, to losses.json."""

    def __init__(self):
        self.steps = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        means = {name: value.detach().clone() for name, value in outputs.items()
                 if 'loss' in name}
        all_reduce_dict(means, 'mean')
        self.steps.append({name: value.item() for name, value in means.items()})

    def after_train(self, runner):
        if get_rank() == 0:
            Path(runner.work_dir, 'losses.json').write_text(json.dumps(self.steps))


@TASK_UTILS.register_module()
class FirstSampler(RandomSampler):
    """Takes the first boxes where mmdet's takes random ones: equal on any number of ranks."""

    def random_choice(self, gallery, num):
        return gallery[:num]
