"""Every key of every config is read by something.

Components that are built from a registry refuse unknown arguments, unless one of them takes
``**kwargs`` and drops them; nobody complains about a misspelt key of a plain dictionary, such as
``model.test_cfg``. Here each dictionary of a config is compared with what its consumer reads: the
signature of the component that ``type`` names, or a list below.
"""
from fnmatch import fnmatch
from functools import cache

import mmcv.ops
import pytest
from bacl.engine.checking.config_check import arguments, check_config
from mmcv.cnn.bricks.transformer import FFN, MultiheadAttention
from mmdet import registry
from mmdet.models import layers
from mmengine.registry import FUNCTIONS
from mmengine.runner import Runner
from torch.nn.utils import clip_grad_norm_
from torch.utils.data import DataLoader

REGISTRIES = [FUNCTIONS, registry.DATA_SAMPLERS, registry.DATASETS, registry.HOOKS,
              registry.LOG_PROCESSORS, registry.LOOPS, registry.METRICS, registry.MODELS,
              registry.OPTIM_WRAPPERS, registry.OPTIMIZERS, registry.PARAM_SCHEDULERS,
              registry.TASK_UTILS, registry.TRANSFORMS, registry.VISBACKENDS, registry.VISUALIZERS,
              registry.WEIGHT_INITIALIZERS]

# Names that a config gives to its own parts, and that only other configs read.
VARIABLES = {
    'canvas', 'cascade', 'cascade_box_heads', 'copy_paste_pipeline', 'data_root', 'dataset_type',
    'image_level_data', 'mask_branch', 'num_classes', 'num_parents', 'resize_or_crop', 'scales',
    'single_image_pipeline', 'swin_t', 'swin_t_channels', 'test_pipeline', 'train_pipeline',
    'vis_backends'}


class Anything:
    def __contains__(self, key):
        return True


# What is read of dictionaries without `type`, by path; `*` may stand for several steps.
PLAIN = {
    '': arguments(Runner) - {'cfg'} | {'custom_imports', 'stage1_config'} | VARIABLES,
    'custom_imports': {'imports', 'allow_failed_imports'},
    'randomness': arguments(Runner.set_randomness),
    'env_cfg': {'cudnn_benchmark', 'mp_cfg', 'dist_cfg', 'resource_limit'},
    'env_cfg.mp_cfg': {'mp_start_method', 'opencv_num_threads'},
    'auto_scale_lr': {'enable', 'base_batch_size'},
    'default_hooks': {
        'timer', 'logger', 'param_scheduler', 'checkpoint', 'sampler_seed', 'runtime_info',
        'visualization', 'class_check', 'load_report', 'plain_checkpoint', 'seed',
        'finite_loss', 'class_figures', 'method'},
    'optim_wrapper.clip_grad': arguments(clip_grad_norm_) - {'parameters'},
    'optim_wrapper.paramwise_cfg': {
        'custom_keys', 'bias_lr_mult', 'bias_decay_mult', 'norm_decay_mult', 'dwconv_decay_mult',
        'flat_decay_mult', 'bypass_duplicate'},
    'optim_wrapper.paramwise_cfg.custom_keys': Anything(),  # parts of names of parameters
    'optim_wrapper.paramwise_cfg.custom_keys.*': {'lr_mult', 'decay_mult'},
    '*_dataloader': arguments(DataLoader) | {'num_batch_per_epoch'},
    'custom_hooks.dataloader': arguments(DataLoader),
    '*.data_prefix': {'img'},
    '*.filter_cfg': {'filter_empty_gt', 'min_size'},
    # Of detectors of two stages, then of one stage.
    'model.train_cfg': {'rpn', 'rpn_proposal', 'rcnn',
                        'assigner', 'allowed_border', 'pos_weight', 'debug'},
    'model.train_cfg.rpn': {'assigner', 'sampler', 'allowed_border', 'pos_weight', 'debug'},
    'model.train_cfg.rpn_proposal': {'nms_pre', 'max_per_img', 'nms', 'min_bbox_size'},
    'model.train_cfg.rcnn': {'assigner', 'sampler', 'pos_weight', 'mask_size', 'debug'},
    'model.test_cfg': {'rpn', 'rcnn',
                       'nms_pre', 'min_bbox_size', 'score_thr', 'nms', 'max_per_img'},
    'model.test_cfg.rpn': {'nms_pre', 'max_per_img', 'nms', 'min_bbox_size'},
    'model.test_cfg.rcnn': {'score_thr', 'nms', 'max_per_img', 'mask_thr_binary', 'calibrator'},
    # Of a DETR.
    'model.encoder': arguments(layers.DeformableDetrTransformerEncoder),
    'model.decoder': arguments(layers.DinoTransformerDecoder),
    'model.encoder.layer_cfg': arguments(layers.DeformableDetrTransformerEncoderLayer),
    'model.decoder.layer_cfg': arguments(layers.DeformableDetrTransformerDecoderLayer),
    'model.decoder.layer_cfg.self_attn_cfg': arguments(MultiheadAttention),
    'model.*.layer_cfg.*_attn_cfg': arguments(mmcv.ops.MultiScaleDeformableAttention),
    'model.*.layer_cfg.ffn_cfg': arguments(FFN),
    'model.positional_encoding': arguments(layers.SinePositionalEncoding),
    'model.dn_cfg': arguments(layers.CdnQueryGenerator),
    'model.dn_cfg.group_cfg': {'dynamic', 'num_groups', 'num_dn_queries'},
    '*.remapping': {'img', 'gt_masks'},
    '*.init_cfg.override': {'name'},  # the rest is that of init_cfg
}
# Components that no registry has.
UNREGISTERED = {'*.nms': mmcv.ops.nms, '*.roi_layer': mmcv.ops.RoIAlign}
# What is read before the component gets the others, or what it passes on.
IN_ADDITION = {
    'optim_wrapper': {'constructor', 'paramwise_cfg'},
    'param_scheduler': {'convert_to_iter_based'},
    '*hooks.*': {'priority'},
    '*.nms': {'class_agnostic', 'split_thr'},
    '*.norm_cfg': {'requires_grad'},
    '*.init_cfg': {'override'},
}
RESIZING = {'RandomChoiceResize', 'RandomResize'}  # their **kwargs go to Resize


def at(path: str, table: dict):
    """The entry of the first pattern in ``table`` that fits ``path``; None if none does."""
    return next((entry for pattern, entry in table.items() if fnmatch(path, pattern)), None)


@cache
def component_named(name: str):
    """The only registered component of that name; None if there is none, or if there are two."""
    found = [component for r in REGISTRIES if (component := r.get(name)) is not None]
    return found[0] if len(found) == 1 else None


def keys_read(path: str, config: dict):
    """Keys that are read of a dictionary; empty if nobody is known to read it."""
    if 'type' not in config:
        return at(path, PLAIN) or set()
    component = at(path, UNREGISTERED) or component_named(config['type'])
    if component is None:
        return set()
    names = arguments(component) | {'type'} | (at(path, IN_ADDITION) or set())
    if config['type'] in RESIZING:
        names |= arguments(registry.TRANSFORMS.get('Resize'))
    return names


def dictionaries(value, path: str = ''):
    """All dictionaries in a config, with the path that leads there, without indices of lists."""
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from dictionaries(item, path)
    elif isinstance(value, dict):
        yield path, value
        for key, inner in value.items():
            step = f'{path}.{key}'.lstrip('.')
            if step not in VARIABLES:
                yield from dictionaries(inner, step)


def unknown_keys(config: dict) -> list[str]:
    return [f'{path}.{key}'.lstrip('.') for path, inner in dictionaries(config)
            for key in inner if key not in keys_read(path, inner)]


def test_every_key_is_read(cfg):
    assert unknown_keys(cfg.to_dict()) == []


def test_check_that_the_tools_make_passes(cfg):
    check_config(cfg)


MASK = 'mask-rcnn_r50_fpn_bacl-stage2_lvis-v1'
CASCADE = 'cascade-rcnn_r50_fpn_bacl-stage1_lvis-v1'
SWIN = 'faster-rcnn_swin-t_fpn_bacl-stage1_lvis-v1'
EMOJI_LT = 'faster-rcnn_effnet-lite0_emoji-lt-mini_stage2-bacl'


@pytest.mark.parametrize('path, key', [
    ('', 'optim_wraper'),
    ('default_hooks', 'checkpoints'),
    ('env_cfg', 'cudnn_bench'),
    ('model.test_cfg.rcnn', 'score_threshold'),
    ('model.train_cfg.rpn_proposal', 'nms_post'),  # mmdet 2
    ('model.train_cfg.rcnn.sampler', 'neg_pos_up'),  # as in the docstring of RandomSampler
    ('model.roi_head', 'halucinator'),
    ('model.roi_head.bbox_head.loss_cls', 'prob_threshold'),
    ('model.roi_head.mask_head.predictor_cfg', 'scale'),
    ('train_dataloader', 'shufle'),
    ('train_dataloader.dataset', 'oversample_thr'),
    ('train_dataloader.dataset.pipeline', 'keep_ration'),
    ('optim_wrapper.optimizer', 'weight_dacay')])
def test_typo_is_found(load_config, path, key):
    cfg = load_config(MASK).to_dict()
    target = next(inner for where, inner in dictionaries(cfg) if where == path)
    target[key] = 1
    assert unknown_keys(cfg) == [f'{path}.{key}'.lstrip('.')]


@pytest.mark.parametrize('name', [MASK, CASCADE, SWIN, EMOJI_LT])
def test_typo_in_any_dictionary_is_found(load_config, name):
    cfg = load_config(name).to_dict()
    places = [(path, inner) for path, inner in dictionaries(cfg)
              if not isinstance(keys_read(path, inner), Anything)]
    for _, inner in places:
        inner['typo'] = 1
    assert len(places) > 60
    assert unknown_keys(cfg) == [f'{path}.typo'.lstrip('.') for path, _ in places]


def test_unregistered_component_is_found(load_config):
    cfg = load_config(MASK).to_dict()
    cfg['model']['roi_head']['bbox_head']['loss_cls']['type'] = 'FBCL'
    assert 'model.roi_head.bbox_head.loss_cls.type' in unknown_keys(cfg)
