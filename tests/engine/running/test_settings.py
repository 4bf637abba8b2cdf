import copy

import pytest
from bacl.engine.running.settings import apply_settings, combine, grid, parse_settings
from mmengine.config import Config


@pytest.fixture
def cfg():
    """What a run reads, with a variable of the file; one component is ours."""
    return Config(dict(
        num_classes=3, default_scope='mmdet', custom_imports=dict(imports=['bacl']),
        randomness=dict(seed=None), work_dir='a', model=dict(
            type='FasterRCNN', test_cfg=dict(rcnn=dict(score_thr=0.1)), roi_head=dict(
                type='StandardRoIHead', bbox_head=dict(
                    type='Shared2FCBBoxHead', num_classes=3, loss_cls=dict(
                        type='FCBL', alpha=0.85)))),
        optim_wrapper=dict(type='OptimWrapper', optimizer=dict(
            type='AdamW', lr=0.01, betas=(0.9, 0.99), amsgrad=False)),
        param_scheduler=[dict(type='LinearLR', end=5, by_epoch=False)],
        train_cfg=dict(type='EpochBasedTrainLoop', max_epochs=2)))


LOSS = 'model.roi_head.bbox_head.loss_cls'
OPTIMIZER = 'optim_wrapper.optimizer'


def test_values_are_those_of_cfg_options():
    assert parse_settings(['a.b=1', 'c=0.5', 'd=x', 'e=None', 'f=False', 'g=1,2', 'h=[(1,x)]'],
                          '--list') == {
        'a.b': 1, 'c': 0.5, 'd': 'x', 'e': None, 'f': False, 'g': [1, 2], 'h': [(1, 'x')]}


def test_grid_has_all_combinations_and_values_that_are_lists():
    assert grid(['a=1,x', 'b=[1,2],[3],(4,5)', 'c=6']) == [
        {'a': a, 'b': b, 'c': 6} for a in (1, 'x') for b in ([1, 2], [3], (4, 5))]
    assert grid(['a=[1,2]']) == [{'a': [1, 2]}]
    assert grid([]) == [{}]


def test_every_listed_setting_goes_with_the_grid():
    assert combine(['', 'a=1 b=1,2'], ['c=5,6']) == [
        {'c': 5}, {'c': 6}, {'a': 1, 'b': [1, 2], 'c': 5}, {'a': 1, 'b': [1, 2], 'c': 6}]
    assert combine([], []) == [{}]


@pytest.mark.parametrize('listed, axes, message', [
    ([], ['a'], "--set expects KEY=VALUE, got 'a'"), ([], ['a='], "got 'a='"),
    ([], ['=1'], "got '=1'"), ([], ['a=[1,2'], r"got 'a=\[1,2'"),
    ([], ['a=1', 'a=2'], "--set expects every key once, got 'a' twice"),
    (['a=1 b'], [], "--list expects KEY=VALUE, got 'b'"),
    (['b=1', 'a=1'], ['a=2'], "got 'a' in both")])
def test_what_is_no_setting_is_named(listed, axes, message):
    with pytest.raises(ValueError, match=message):
        combine(listed, axes)


@pytest.mark.parametrize('key, value', [
    (f'{LOSS}.alpha', 0.5), ('train_cfg.max_epochs', 5), ('param_scheduler.0.end', 7),
    (f'{OPTIMIZER}.betas', [0.8, 0.9]), (f'{OPTIMIZER}.lr', 1),
    # Arguments that the config leaves to their defaults.
    (f'{LOSS}.prob_thr', 0.6), (f'{OPTIMIZER}.weight_decay', 0.1), ('train_cfg.val_interval', 2),
    (f'{LOSS}.indicator.type', 'TruePositiveRate'), ('auto_scale_lr', dict(enable=True))])
def test_known_keys_change_the_config(cfg, key, value):
    apply_settings(cfg, {key: value})
    *parents, last = key.split('.')
    node = cfg
    for part in parents:
        node = node[int(part)] if part.isdecimal() else node[part]
    assert node[last] == value


def test_settings_stay_as_they_are_and_can_be_applied_again(cfg):
    loop = dict(_delete_=True, type='IterBasedTrainLoop', max_iters=5)
    settings = {'train_cfg': loop}
    for changed in (copy.deepcopy(cfg), cfg):
        apply_settings(changed, settings)
        assert changed.train_cfg == dict(type='IterBasedTrainLoop', max_iters=5)
    assert settings == {'train_cfg': loop} and loop['_delete_']


def test_arguments_are_those_of_the_component_that_it_will_be(cfg):
    settings = {f'{OPTIMIZER}.momentum': 0.9, f'{OPTIMIZER}.type': 'SGD'}
    apply_settings(cfg, settings)
    assert cfg.optim_wrapper.optimizer.momentum == 0.9


@pytest.mark.parametrize('key, nearest', [
    (f'{LOSS}.alpah', f'{LOSS}.alpha'), (f'{LOSS}.prob_tr', f'{LOSS}.prob_thr'),
    ('alpha', f'{LOSS}.alpha'), ('lr', f'{OPTIMIZER}.lr'),
    ('train_cfg.epochs', 'train_cfg.max_epochs'),
    ('model.test_cfg.rcnn.score_th', 'model.test_cfg.rcnn.score_thr'),
    (f'{OPTIMIZER}.momentum', f'{OPTIMIZER}.betas'),
    ('param_scheduler.1.end', 'param_scheduler.0.end'),
    ('param_scheduler.x.end', 'param_scheduler.0.end'),
    # A variable of the file: what was made of it stays as it is.
    ('num_classes', 'model.roi_head.bbox_head.num_classes')])
def test_unknown_key_is_refused_with_the_nearest(cfg, key, nearest):
    before = cfg.to_dict()
    with pytest.raises(ValueError) as error:
        apply_settings(cfg, {f'{OPTIMIZER}.lr': 1, key: 0.5})
    assert f'{key!r} is no setting of a run; the nearest is {nearest!r}.' in str(error.value)
    assert cfg.to_dict() == before


@pytest.mark.parametrize('key', ['optim_wrapper.clip_grad.max_norm',
                                 'optim_wrapper.paramwise_cfg.norm_decay_mul'])
def test_settings_in_what_the_config_lacks_are_refused(cfg, key):
    parent = key.rpartition('.')[0]
    with pytest.raises(ValueError, match=f"'{key}' is in '{parent}', which the config lacks; wri"):
        apply_settings(cfg, {key: 0})
    cfg.merge_from_dict({key: 1})
    apply_settings(cfg, {key: 0})


def test_arguments_of_a_new_component_are_known_by_its_type(cfg):
    indicator = f'{LOSS}.indicator'
    kind = {f'{indicator}.type': 'TruePositiveRate'}
    with pytest.raises(ValueError, match=f"'{indicator}.num_clases' is no setting"):
        apply_settings(cfg, {f'{indicator}.num_clases': 3, **kind})
    with pytest.raises(ValueError, match=f"'{indicator}.num_classes' is in '{indicator}'"):
        apply_settings(cfg, {f'{indicator}.num_classes': 3})
    apply_settings(cfg, {f'{indicator}.num_classes': 3, **kind})


@pytest.mark.parametrize('key', ['randomness.seed', 'work_dir', 'load_from'])
def test_what_every_run_has_for_itself_is_refused(cfg, key):
    with pytest.raises(ValueError, match=f"'{key}' is what every run has for itself"):
        apply_settings(cfg, {key: 'x'})


@pytest.mark.parametrize('key, value, message', [
    (f'{OPTIMIZER}.lr', 'fast', "lr expects a number, as 0.01, got 'fast'"),
    (f'{OPTIMIZER}.amsgrad', 1, 'amsgrad expects True or False, as False, got 1'),
    (f'{OPTIMIZER}.betas', 0.9, r'betas expects a list, as \(0.9, 0.99\), got 0.9'),
    (f'{OPTIMIZER}.type', 3, "type expects a word, as 'AdamW', got 3"),
    ('param_scheduler.0.end', [1], r'end expects a number, as 5, got \[1\]'),
    ('train_cfg', 3, 'train_cfg expects settings of its own'),
    (f'{LOSS}.alpha', 'x', r"FCBL\(alpha=\) expects a finite number, got 'x'")])
def test_value_of_a_wrong_type_is_refused(cfg, key, value, message):
    with pytest.raises(ValueError, match=message):
        apply_settings(cfg, {key: value})
