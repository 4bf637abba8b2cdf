import difflib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import bacl  # noqa: F401
import pytest
from bacl.engine.checking.config_check import (
    _own_types,
    arguments,
    check_config,
    has_type,
    own_components,
)
from mmdet.models.roi_heads import StandardRoIHead
from mmdet.registry import DATASETS, HOOKS, METRICS, MODELS, TRANSFORMS
from mmengine.config import Config
from mmengine.registry import Registry

CONFIGS = Path(__file__).parents[3] / 'configs' / 'bacl'
COMPONENTS = own_components()
ARGUMENTS = {name: keys for name, component in COMPONENTS.items()
             if (keys := sorted(arguments(component)))}
TYPED = {name: keys for name, component in COMPONENTS.items()
         if (keys := [key for key, hint in sorted(_own_types(component).items())
                      if Any not in (hint, *get_args(hint))])}


def check(**component):
    check_config(Config(dict(model=dict(parts=[dict(component)]))))


def test_every_kind_of_component_is_known():
    assert {'FCBL', 'ConfusionMatrix', 'FHMRoIHead', 'DecoupledTwoStageDetector', 'ClassCheckHook',
            'FastLVISMetric', 'CocoLTDataset', 'LoadCroppedMasks',
            'EfficientNetLite0'} <= COMPONENTS.keys()
    for registry in (MODELS, HOOKS, METRICS, DATASETS, TRANSFORMS):
        for name, component in registry.module_dict.items():
            # A bank is loaded where it is used, by another test of this process perhaps.
            if not component.__module__.startswith('bacl.feature_bank'):
                is_own = component.__module__.startswith('bacl.')
                assert (COMPONENTS.get(name) is component) == is_own


@pytest.mark.parametrize('name', ARGUMENTS)
def test_misspelt_key_names_component_key_and_the_nearest(name):
    keys = ARGUMENTS[name]
    typos = {key: f'{key[:-1]}x{key[-1]}' for key in keys}
    with pytest.raises(ValueError) as error:
        check(type=name, **dict.fromkeys(typos.values(), 1))
    for key, typo in typos.items():
        start = f'  model.parts[0]: {name} has no argument {typo!r}; the nearest is '
        assert start in str(error.value)
        # Another key may be as near, but none is nearer.
        nearest = str(error.value).split(f"{start}'")[1].split("'")[0]
        likeness = [difflib.SequenceMatcher(None, k, typo).ratio() for k in (nearest, key)]
        assert nearest in keys and likeness[0] >= likeness[1]


@pytest.mark.parametrize('component, text', [
    (dict(type='FCBL', prob_threshold=0.5), "FCBL has no argument 'prob_threshold'; the nearest is "
                                            "'prob_thr'"),
    (dict(type='FHMRoIHead', halucinator=None), "'halucinator'; the nearest is 'hallucinator'"),
    (dict(type='FHMRoIHead', bbox_haed=None), "'bbox_haed'; the nearest is 'bbox_head'"),
    (dict(type='DecoupledTwoStageDetector', roi_hed={}), "'roi_hed'; the nearest is 'roi_head'"),
    (dict(type='LongTailLVISV1Dataset', skip_unreadible=True), "nearest is 'skip_unreadable'"),
    (dict(type='LongTailLVISV1Dataset', anno_file='a'), "nearest is 'ann_file'"),
    (dict(type='CocoLTMetric', train_annfile='a'), "nearest is 'train_ann_file'"),
    (dict(type='CocoLTMetric', clas_wise=True), "nearest is 'classwise'"),
    (dict(type='ContiguousRandomFlip', probability=1), "nearest is 'prob'"),
    (dict(type='mmdet.LoadCroppedMasks', with_lable=True), "nearest is 'with_label'"),
    (dict(type='ShortTermIndicatorHook', reweigh_start=1), "nearest is 'reweight_start'"),
    (dict(type='DropEmptyGT', min_size=1), "DropEmptyGT has no argument 'min_size'; it takes none"),
    (dict(type=COMPONENTS['FCBL'], alhpa=1), "FCBL has no argument 'alhpa'; the nearest is 'alp"),
    (dict(type='bacl.models.losses.FCBL', alhpa=1), "FCBL has no argument 'alhpa'"),
    (dict(type='bacl.evaluation.CocoLTMetric', group_tresholds=(1, 2)), "'group_thresholds'"),
    (dict(type='mmdet.FBCL'), "no component is called 'mmdet.FBCL'; the nearest is 'FCBL'"),
    (dict(type='bacl.models.losses.FBCL'), "'bacl.models.losses.FBCL'; the nearest is 'FCBL'"),
    (dict(type='FBCL'), "[0].type: no component is called 'FBCL'; the nearest is 'FCBL'"),
    (dict(type='FastLVISMetrics'), "the nearest is 'FastLVISMetric'"),
])
def test_typo_is_explained(component, text):
    with pytest.raises(ValueError) as error:
        check(**component)
    assert text in str(error.value)


@pytest.mark.parametrize('component', [
    dict(type='CrossEntropyLoss', use_sigmod=True), dict(type='nms', iou_threshold=0.5),
    dict(type='SomebodysLoss', alpha='x'), dict(type='mmpretrain.FCBL', alpha='x'),
    dict(type='somewhere.FBCL'),
    dict(type=StandardRoIHead, bbox_haed=None), dict(type=5), dict(type=None)])
def test_components_of_others_are_left_to_them(component):
    check(**component)


def test_name_is_that_of_its_scope():
    """A namesake of another scope is not ours; ours need their scope there."""
    models = Registry('model', parent=MODELS.parent, scope='lab', locations=[])
    models.register_module('FCBL', module=StandardRoIHead)
    try:
        check_config(Config(dict(default_scope='lab', model=dict(type='FCBL', theirs=1))))
        check(type='FCBL', _scope_='lab', theirs=1)
        for kind, text in (('mmdet.FCBL', "FCBL has no argument 'theirs'"),
                           ('ConfusionMatrix', "the nearest is 'mmdet.ConfusionMatrix'")):
            with pytest.raises(ValueError) as error:
                check_config(Config(dict(default_scope='lab', model=dict(type=kind, theirs=1))))
            assert text in str(error.value)
    finally:
        del MODELS.parent.children['lab']


def test_names_of_others_are_not_imported(tmp_path, monkeypatch):
    """mmengine's registries would import a module of the name."""
    (tmp_path / 'cls_loss.py').write_text('raise RuntimeError("imported")')
    monkeypatch.syspath_prepend(tmp_path)
    check(type='cls_loss')


def test_new_style_of_config_is_checked(tmp_path):
    path = tmp_path / 'new.py'
    path.write_text('from bacl.models.losses import FCBL\n'
                    'from mmdet.models import StandardRoIHead\n'
                    'default_scope = None\n'
                    'model = dict(type=StandardRoIHead, loss=dict(type=FCBL, alhpa=1))\n')
    with pytest.raises(ValueError, match=r"model\.loss: FCBL has no argument 'alhpa'"):
        check_config(Config.fromfile(path))


@pytest.mark.parametrize('key', ['_scope_', 'priority'])
def test_keys_that_mmengine_reads_are_valid(key):
    check(type='ClassCheckHook', **{key: 'mmdet'})


def test_all_problems_are_told_at_once():
    with pytest.raises(ValueError) as error:
        check(type='FCBL', alfa=1, indicator=dict(type='ConfusionMatrix', hrad=True))
    assert "'alfa'" in str(error.value)
    assert "model.parts[0].indicator: ConfusionMatrix has no argument 'hrad'" in str(error.value)


@pytest.mark.parametrize('name', TYPED)
def test_wrong_type_names_component_key_and_value(name):
    with pytest.raises(ValueError) as error:
        check(type=name, **{key: {1, 2} for key in TYPED[name]})
    for key in TYPED[name]:
        assert re.search(rf'model\.parts\[0\]: {name}\({key}=\) expects .*, got ',
                         str(error.value)), key


@pytest.mark.parametrize('component, text', [
    (dict(type='FCBL', alpha='0.9'), "FCBL(alpha=) expects a finite number, got '0.9'"),
    (dict(type='FCBL', alpha=float('nan')), 'FCBL(alpha=) expects a finite number, got nan'),
    (dict(type='FCBL', num_classes=80.0), 'FCBL(num_classes=) expects an int or None, got 80.0'),
    (dict(type='FCBL', with_margin='False'), "FCBL(with_margin=) expects bool, got 'False'"),
    (dict(type='FCBL', prob_thr='x'), "expects a finite number or None, got 'x'"),
    (dict(type='FCBL', indicator='ConfusionMatrix'), "FCBL(indicator=) expects ConfigDict or dict"),
    (dict(type='DecoupledTwoStageDetector', trainable='fc_cls'),
     "trainable=) expects a list of str, got 'fc_cls'"),
    (dict(type='CocoLTDataset', group_thresholds=[20, '400']), "a list of an int, got [20, '400']"),
])
def test_wrong_type_is_explained(component, text):
    with pytest.raises(ValueError) as error:
        check(**component)
    assert text in str(error.value)


@pytest.mark.parametrize('hint, fitting, others', [
    (int, [0, -1], [True, 1.0, '1', None]), (float, [0, 0.5], [True, float('inf'), '1', None]),
    (bool, [True], [0, 'True']), (str, ['a'], [1]), (int | None, [1, None], ['1']),
    (Sequence[int], [[], [1], (1, 2)], ['12', [1, '2'], 1]), (Sequence[str], [['a']], ['a']),
    (dict | None, [{}, None], [[]]), (list[int], [3], []),
    (Mapping[str, float], [{}, dict(a=1)], [dict(a='1'), [1]])])
def test_types(hint, fitting, others):
    assert all(has_type(value, hint) for value in fitting)
    assert not any(has_type(value, hint) for value in others)


# Ranges are the components' own: what is built with them names itself, the argument and the value.
@pytest.mark.parametrize('registry, component, key, value', [
    *[(MODELS, dict(type=loss), key, value)
      for loss in ('FCBL', 'EqualizationLossV2', 'ObjectnessBCELoss', 'SigmoidBCELoss')
      for key, value in (('num_classes', 0), ('reduction', 'avg'), ('loss_weight', -1.0))],
    (MODELS, dict(type='FCBL'), 'alpha', -0.1), (MODELS, dict(type='FCBL'), 'prob_thr', 1.1),
    (MODELS, dict(type='EqualizationLossV2'), 'gamma', -1.0),
    (MODELS, dict(type='EqualizationLossV2'), 'alpha', -1.0),
    *[(MODELS, dict(type=indicator), 'num_classes', 0)
      for indicator in ('ImageFrequency', 'InstanceFrequency', 'ConfusionMatrix',
                        'CumulativeInstanceNumber', 'MeanClassificationScore', 'TruePositiveRate')],
    (MODELS, dict(type='ImageFrequency'), 'counts', [1, -1, 2]),
    (MODELS, dict(type='ConfusionMatrix'), 'dtype', 'float16'),
    (MODELS, dict(type='MeanClassificationScore'), 'gamma', 1.0),
    *[(MODELS, dict(type='FeatureHallucinator', num_feats=4), key, value)
      for key, value in (('num_sampled_classes', 0), ('num_features_per_class', 0),
                         ('momentum', 0.0))],
    (MODELS, dict(type='EfficientNetLite0'), 'out_indices', [4]),
    (MODELS, dict(type='EfficientNetLite0'), 'frozen_blocks', 99),
    (HOOKS, dict(type='LongTermIndicatorHook'), 'interval', 0),
    (HOOKS, dict(type='ShortTermIndicatorHook'), 'reweight_start', -1),
    (HOOKS, dict(type='ShortTermIndicatorHook'), 'hallucination_start', -1),
    (DATASETS, dict(type='CocoLTDataset'), 'group_thresholds', [400, 20]),
])
def test_value_out_of_range_names_component_and_key(registry, component, key, value):
    if registry is MODELS and component['type'] != 'EfficientNetLite0':
        component = dict(num_classes=3) | component
    check(**{**component, key: value})
    with pytest.raises(ValueError, match=rf'\w+\({key}=\) expects .*, got '):
        registry.build({**component, key: value})


def test_a_change_of_a_real_config_is_found():
    cfg = Config.fromfile(CONFIGS / 'faster-rcnn_effnet-lite0_emoji-lt-smoke_stage2-bacl.py')
    check_config(cfg)
    cfg.merge_from_dict({'model.roi_head.bbox_head.loss_cls.prob_threshold': 0.5})
    with pytest.raises(ValueError, match=r'stage2-bacl\.py is refused:\n  model\.roi_head\.'
                       r"bbox_head\.loss_cls: FCBL has no argument 'prob_threshold'"):
        check_config(cfg)


def test_what_mmengine_takes_from_an_optimizer_wrapper_is_left_to_it():
    check(type='BFloat16OptimWrapper', optimizer=dict(type='SGD', lr=1.0),
          paramwise_cfg=dict(norm_decay_mult=0.0), constructor='DefaultOptimWrapperConstructor')


def test_checkpointing_that_would_keep_the_backbone_from_learning_is_refused():
    check_config(Config(dict(activation_checkpointing=['neck'])))
    for modules in ('backbone', ['neck', 'backbone.layer1']):
        with pytest.raises(ValueError, match=r"'backbone\S*' would not learn.*with_cp=True"):
            check_config(Config(dict(activation_checkpointing=modules)))
