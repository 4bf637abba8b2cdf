"""A trained detector that is given images."""
import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from mmcv.transforms import LoadImageFromFile
from mmdet.apis import DetInferencer
from mmdet.registry import TRANSFORMS
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.device import get_device
from mmengine.runner.checkpoint import _load_checkpoint_to_model
from torch import nn

from ..checking.class_checks import OTHER_CLASSES
from ..checking.config_check import check_config
from ..checking.load_report import compare_weights, faults_of_predictions, refuse_faults
from ..running.config_types import is_type
from ..running.dataset_configs import evaluated_datasets
from ..running.official_checkpoint import refuse_official_checkpoint
from ..running.work_dir import require_file


class _Inferencer(DetInferencer):
    """mmdet's, but it refuses a checkpoint that does not fit, and asks no dataset.

    A machine that predicts has no annotations, and mmdet's asks the dataset for a palette.
    """

    def __init__(self, *args: Any, checkpoint_name: str, **kwargs: Any) -> None:
        self._checkpoint_name = checkpoint_name
        super().__init__(*args, **kwargs)

    def _load_weights_to_model(self, model: nn.Module, checkpoint: dict, cfg: Config) -> None:
        refuse_official_checkpoint(checkpoint, self._checkpoint_name)
        report = compare_weights(model, checkpoint.get('state_dict', checkpoint))
        refuse_faults(faults_of_predictions(model, report), report, self._checkpoint_name)
        _load_checkpoint_to_model(model, checkpoint)
        model.dataset_meta = (checkpoint.get('meta') or {}).get('dataset_meta') or {}

    def _init_collate(self, cfg: Config) -> Callable:
        # One image is no batch; mmengine's look-up of this function warns of its registry.
        return pseudo_collate

    def _init_visualizer(self, cfg: Config) -> None:
        # The config's would open files for curves.
        return None


class Predictor:
    """Predicts the objects of an image, with the test pipeline of a config.

    Args:
        config: path of the config of a two-stage or any other detector of mmdet.
        checkpoint: of its training.
        device: 'cpu', 'cuda:1' and so on; None takes a GPU if there is one.
        cfg_options: settings that override those of the config, such as
            ``{'model.test_cfg.rcnn.score_thr': 0.01}``.

    Attributes:
        cfg: the config.
        class_names: of the checkpoint, in label order; None if it does not tell.
        num_classes: C.

    Raises:
        FileNotFoundError: if there is no such config or checkpoint.
        ValueError: if the checkpoint does not fit, the config has no ``test_dataloader``, or there
            is no such device.
        RuntimeError: if the checkpoint cannot be read.
    """

    def __init__(self, config: str, checkpoint: str, device: str | None = None,
                 cfg_options: dict[str, Any] | None = None) -> None:
        require_file(config, 'config')
        require_file(checkpoint, 'checkpoint')
        self.cfg = Config.fromfile(config)
        self.cfg.merge_from_dict(copy.deepcopy(cfg_options or {}))  # it takes `_delete_` out
        check_config(self.cfg)
        cfg = copy.deepcopy(self.cfg)
        cfg.test_dataloader.dataset = evaluated_datasets(cfg, 'A prediction')[0]
        # How the pipeline would read a file; the inferencer replaces the transform.
        loader = next((transform for transform in cfg.test_dataloader.dataset.pipeline
                       if is_type(transform, TRANSFORMS, LoadImageFromFile)), {})
        self.decoding = {key: loader[key] for key in ('color_type', 'imdecode_backend')
                         if key in loader}
        # Indicators count in float64, which Apple's GPU lacks.
        device = device or ('cpu' if get_device() == 'mps' else get_device())
        _check_device(device)
        self._infer = _Inferencer(
            model=cfg, weights=checkpoint, device=device,
            scope=cfg.get('default_scope') or 'mmdet', show_progress=False,
            checkpoint_name=f'Checkpoint {checkpoint}')
        self.class_names = self._infer.model.dataset_meta.get('classes')
        self.num_classes = len(self.class_names or ()) or _num_classes(self._infer.model)

    @torch.no_grad()
    def __call__(self, image: np.ndarray) -> DetDataSample:
        """Predict.

        Args:
            image: (H, W, 3), uint8, BGR.

        Returns:
            With ``pred_instances``, on the CPU: ``bboxes``, (x1, y1, x2, y2) in pixels of the
            image, ``scores``, ``labels`` and maybe ``masks``.
        """
        sample, = self._infer(image, return_datasamples=True, no_save_vis=True)['predictions']
        return sample.cpu()


def _check_device(device: str) -> None:
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # the latter without CUDA
        raise ValueError(f'--device expects a device of this machine, such as cpu, got {device!r}: '
                         f'{str(error).splitlines()[0]}') from error


def _num_classes(model: nn.Module) -> int:
    return next(module.num_classes for name, module in model.named_modules()
                if getattr(module, 'num_classes', None) and OTHER_CLASSES.isdisjoint(
                    name.split('.')))
