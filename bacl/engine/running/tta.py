"""Test-time augmentation of a two-stage detector."""
import copy

from mmdet.datasets.transforms import PackDetInputs
from mmdet.registry import TRANSFORMS
from mmengine.config import Config, ConfigDict

from .config_types import is_type
from .dataset_configs import evaluated_datasets

PACKED = ('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor', 'flip', 'flip_direction')


def prepare_tta(cfg: Config) -> None:
    """Make a config test several views of each image and merge their detections.

    The views are those of ``tta_pipeline``, which all datasets of the test get, and the detector is
    wrapped in ``tta_model``. A config without them has its own test pipeline twice, plain and
    flipped, merged by mmdet's ``DetTTAModel``: NMS and number of detections per image, which is
    part of what LVIS compares, are those of the detector.

    Args:
        cfg: config of the run, changed in place.

    Raises:
        ValueError: if there is no test_dataloader; if the views or their merging do not follow
            from the config and it has no ``tta_pipeline`` or ``tta_model`` that says them.
    """
    datasets = evaluated_datasets(cfg, '--tta')
    # Copies, never unpacked: that would turn new-style types into classes, which cannot be dumped.
    tta_model = copy.deepcopy(cfg.get('tta_model') or _merged_by_nms(cfg.model))
    for dataset in datasets:
        dataset.pipeline = copy.deepcopy(
            cfg.get('tta_pipeline') or _with_flip(dataset, cfg.get('default_scope')))
    tta_model.module = cfg.model
    cfg.model = tta_model


def _merged_by_nms(model: ConfigDict) -> ConfigDict:
    if (model.get('roi_head') or {}).get('mask_head'):
        raise ValueError(
            '--tta expects a detector of boxes, got one with a mask_head, whose masks DetTTAModel '
            'does not merge. Evaluate boxes alone: --cfg-options model.roi_head.mask_head=None '
            'test_evaluator.metric=bbox, or set tta_model in the config.')
    test_cfg = model.get('test_cfg') or {}
    merging = test_cfg.get('rcnn') or test_cfg
    if not {'nms', 'max_per_img'} <= merging.keys():
        raise ValueError('--tta expects nms and max_per_img in model.test_cfg.rcnn, got '
                         f'{merging}. Set tta_model in the config.')
    return ConfigDict(type='DetTTAModel', tta_cfg=dict(
        nms=merging.nms, max_per_img=merging.max_per_img))


def _with_flip(dataset: ConfigDict, scope: str | None) -> list[ConfigDict]:
    *steps, last = dataset.get('pipeline') or [{}]
    if not is_type(last, TRANSFORMS, PackDetInputs, scope):
        raise ValueError('--tta expects a test pipeline that ends with PackDetInputs, got '
                         f'{last.get("type")!r}. Set tta_pipeline in the config.')
    packing = copy.deepcopy(last)
    packing['meta_keys'] = tuple(dict.fromkeys((*last.get('meta_keys', ()), *PACKED)))
    flips = [dict(type='mmdet.RandomFlip', prob=prob) for prob in (0.0, 1.0)]
    return [*steps, ConfigDict(type='TestTimeAug', transforms=[flips, [packing]])]
