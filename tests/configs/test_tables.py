"""The list of the paper's tables (tables.yml), and that a row changes what its title says."""
import inspect
import re
from functools import reduce
from operator import getitem
from pathlib import Path

import bacl  # noqa: F401
import mmdet.datasets  # noqa: F401
import pytest
import yaml
from mmdet.registry import DATA_SAMPLERS, DATASETS, MODELS
from mmengine.runner import Runner

CONFIGS = Path(__file__).parents[2] / 'configs'
TABLES = yaml.safe_load((CONFIGS / 'tables.yml').read_text())
ROWS = [row for table in TABLES for row in table['rows']]
GONE = '(not set)'

BACL = 'faster-rcnn_r50_fpn_bacl-stage2_lvis-v0.5'
EMOJI_LT_BACL = 'faster-rcnn_effnet-lite0_emoji-lt-mini_stage2-bacl'
HALLUCINATOR = 'model.roi_head.hallucinator'
BOX_HEAD = 'model.roi_head.bbox_head'
LOSS = f'{BOX_HEAD}.loss_cls'
INDICATOR = f'{LOSS}.indicator.type'
DECAY = tuple(f'param_scheduler.1.{key}' for key in ('end', 'milestones.0', 'milestones.1'))
PREFIX = 'faster-rcnn_r50_fpn_bacl-stage2-'
VARIANTS = sorted(path.stem.removeprefix(PREFIX).partition('_')[0]
                  for path in CONFIGS.glob(f'bacl/{PREFIX}*'))
# Settings of which the name of a variant gives the value.
NUMBERS = {'alpha': f'{LOSS}.alpha', 'prob-thr': f'{LOSS}.prob_thr',
           'beta': f'{HALLUCINATOR}.momentum', 'c': f'{HALLUCINATOR}.num_sampled_classes',
           'm': f'{HALLUCINATOR}.num_features_per_class'}
# What the other names switch; what is not named of these parts is switched off.
PARTS = {'margin': {f'{LOSS}.with_margin': False}, 'weight': {f'{LOSS}.with_weight': False},
         'fhm': {HALLUCINATOR: None}}
SWITCHES = {'hard-confusion-matrix': {f'{LOSS}.indicator.hard': True},
            'above-true-only': {f'{LOSS}.prob_thr': None},
            'threshold-only': {f'{LOSS}.above_true': False}}
# Number of classes in the validation set, in the order of the columns after AP.
GROUP_SIZES = {'LVIS v0.5': (125, 392, 313), 'COCO-LT': (4, 24, 32, 20)}


def differences(old, new, path: str = '') -> dict:
    """New values of the settings in which two nested configs differ, by dotted path."""
    if isinstance(old, dict) and isinstance(new, dict):
        found = {}
        for key in old.keys() | new.keys():
            step = f'{path}.{key}'.lstrip('.')
            found |= differences(old.get(key, GONE), new.get(key, GONE), step)
        return found
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        return differences(dict(enumerate(old)), dict(enumerate(new)), path)
    return {} if old == new else {path: new}


def numbers(text: str) -> list[str]:
    return re.findall(r'\d+(?:\.\d+)?', text)


def settings_named(variant: str) -> dict:
    """What a variant of BACL sets, by its name."""
    if variant in SWITCHES:
        return SWITCHES[variant]
    if numbers(variant):
        values = {NUMBERS[name]: float(value)
                  for name, value in re.findall(r'([a-z-]+?)(\d[\d.]*)-?', variant)}
        if 'beta' in variant:  # beta weighs the old statistics, momentum the new ones
            values = {path: pytest.approx(1 - value) for path, value in values.items()}
        return values
    parts = variant.replace('fcbl', 'margin-weight').split('-')
    if PARTS.keys() >= set(parts):
        return {path: value for part in PARTS.keys() - set(parts)
                for path, value in PARTS[part].items()}
    return {INDICATOR: ''.join(word.capitalize() for word in variant.split('-'))}


@pytest.fixture
def changes(load_config, stage1_of):
    """A function from the names of two configs to what the second one changes in the first."""
    # Variables that only other configs read are no settings.
    settings = inspect.signature(Runner).parameters.keys()

    def load(name: str) -> dict:
        config = {key: value for key, value in load_config(name).to_dict().items()
                  if key in settings}
        # Not its path, which depends on the folder of the config.
        return config | ({'stage1': stage1_of(name)} if stage1_of(name) else {})

    def compare(old: str, new: str) -> dict:
        return differences(load(old), load(new))

    return compare


# The list.


def test_every_config_is_in_a_table_unless_another_one_needs_it(config_paths, stage1_of):
    names = config_paths.keys()
    in_tables = {row[key] for row in ROWS for key in ('config', 'emoji_lt') if key in row}
    first_stages = {stage1_of(name) for name in names} - {None}
    smoke = {name for name in names if 'emoji-lt-smoke' in name}
    assert in_tables <= names and first_stages <= names
    assert names - in_tables <= first_stages | smoke
    assert not in_tables & smoke


def test_no_two_families_share_a_name(config_paths):
    assert len(config_paths) == len([path for path in CONFIGS.glob('[!_]*/*.py')
                                     if not (path.parent / 'plan.json').is_file()])


def test_rows_have_a_number_for_every_column():
    for table in TABLES:
        columns = table.get('columns', ['AP', 'APr', 'APc', 'APf'])
        for row in table['rows']:
            assert set(row) <= {'row', 'config', 'paper', 'emoji_lt', 'emoji_lt_settings'}
            assert 'emoji_lt' in row or 'emoji_lt_settings' not in row
            assert 'paper' not in row or len(row['paper']) == len(columns)
    assert all('paper' in row for table in TABLES if table['table'] not in ('Fig. 4', '–')
               for row in table['rows'])


@pytest.mark.parametrize('data', GROUP_SIZES)
def test_average_precision_is_the_mean_of_the_groups_weighted_by_their_size(data):
    sizes = GROUP_SIZES[data]
    rows = [(row['row'], row['paper']) for table in TABLES for row in table['rows']
            if data in table['title'] + row['row'] and 'paper' in row]
    assert len(rows) >= 8
    for name, (total, *groups) in rows:
        if name == 'LVIS v0.5, R101, Forest R-CNN':  # the paper's own numbers contradict each other
            continue
        mean = sum(n * ap for n, ap in zip(sizes, groups, strict=True)) / sum(sizes)
        assert total == pytest.approx(mean, abs=0.15), name


def test_a_config_has_the_same_numbers_in_every_table():
    seen = {}
    for row in ROWS:
        if 'paper' in row:
            seen.setdefault(row['config'], set()).add(tuple(row['paper']))
    # APc of BACL on LVIS v1 is 25.6 in Table XII and 25.7 in Table XIII of the paper.
    assert {name for name, numbers in seen.items() if len(numbers) > 1} == {
        'faster-rcnn_r50_fpn_bacl-stage2_lvis-v1'}


# Ablations.


@pytest.mark.parametrize('variant', VARIANTS)
def test_variant_changes_what_its_name_says_and_nothing_else(changes, load_config, variant):
    name = BACL.replace('_lvis', f'-{variant}_lvis')
    named = settings_named(variant)
    assert set() < changes(BACL, name).keys() <= named.keys()
    config = load_config(name)
    assert {path: reduce(getitem, path.split('.'), config) for path in named} == named


@pytest.mark.parametrize('variant', [name for name in VARIANTS if numbers(name)])
def test_row_of_a_variant_names_the_same_numbers(variant):
    rows = [row['row'] for row in ROWS if row['config'] == f'{PREFIX}{variant}_lvis-v0.5']
    assert [numbers(row) for row in rows] == [numbers(variant)]


@pytest.mark.parametrize('row', [row for row in ROWS if row.get('emoji_lt') == EMOJI_LT_BACL
                                 and row['config'].startswith(PREFIX.removesuffix('-'))],
                         ids=lambda row: row['row'])
def test_variant_on_emoji_lt_changes_what_the_one_on_lvis_changes(changes, row):
    expected = changes(BACL, row['config'])
    if f'{HALLUCINATOR}.num_sampled_classes' in expected:  # of 16 images instead of 2
        expected[f'{HALLUCINATOR}.num_sampled_classes'] *= 2
    assert row.get('emoji_lt_settings', {}) == expected


# Ladders: each row on top of another one.


@pytest.mark.parametrize('old, new, expected', [
    ('sce-1x', 'bce-1x', {
        f'{LOSS}.type': 'SigmoidBCELoss', f'{LOSS}.use_sigmoid': GONE,
        f'{BOX_HEAD}.init_cfg': ...}),
    ('bce-1x', 'bce-obj-1x', {f'{LOSS}.type': 'ObjectnessBCELoss'}),
    ('bce-obj-1x', 'bce-obj-2kprop-1x', {'model.train_cfg.rpn_proposal.max_per_img': 2000}),
    ('bce-obj-2kprop-1x', 'bce-obj-2kprop-wd5e-5-1x', {
        'optim_wrapper.optimizer.weight_decay': 5e-5}),
    ('bce-obj-2kprop-wd5e-5-1x', 'bacl-stage1', {
        'train_dataloader.dataset.type': 'MultiImageMixDataset',
        **{f'train_dataloader.dataset.{key}': GONE
           for key in ('data_root', 'ann_file', 'data_prefix', 'filter_cfg')},
        'train_dataloader.dataset.dataset': ..., 'train_dataloader.dataset.pipeline': ...}),
    ('bacl-stage1', 'bacl-stage2', {
        'model.type': 'DecoupledTwoStageDetector', 'model.backbone.init_cfg': None,
        'model.roi_head.type': 'FHMRoIHead', HALLUCINATOR: ...,
        f'{LOSS}.type': 'FCBL', f'{LOSS}.alpha': 0.85, f'{LOSS}.prob_thr': 0.7,
        f'{LOSS}.indicator': dict(type='ConfusionMatrix'),
        'train_dataloader.dataset.type': 'LongTailLVISV05Dataset',
        **{f'train_dataloader.dataset.{key}': ...
           for key in ('data_root', 'ann_file', 'data_prefix', 'filter_cfg', 'pipeline')},
        'train_dataloader.dataset.dataset': GONE,
        'optim_wrapper.optimizer.weight_decay': 1e-4,
        'custom_hooks': ..., 'stage1': ...}),
    ('bacl-end-to-end', 'bacl-stage2', {
        'model.type': 'DecoupledTwoStageDetector', 'model.backbone.init_cfg': None,
        'train_dataloader.dataset.type': 'LongTailLVISV05Dataset',
        **{f'train_dataloader.dataset.{key}': ...
           for key in ('data_root', 'ann_file', 'data_prefix', 'filter_cfg', 'pipeline')},
        'train_dataloader.dataset.dataset': GONE,
        'optim_wrapper.optimizer.weight_decay': 1e-4,
        'train_cfg.max_epochs': 12, 'train_cfg.val_interval': 12,
        **dict(zip(DECAY, (12, 8, 11), strict=True)),
        'stage1': ...})])
def test_step_changes_only_what_it_is_about(changes, old, new, expected):
    found = changes(*(f'faster-rcnn_r50_fpn_{name}_lvis-v0.5' for name in (old, new)))
    assert found.keys() == expected.keys()
    for path, value in expected.items():
        assert value is ... or found[path] == value, path


@pytest.mark.parametrize('method', ['sce', 'bce', 'bce-obj'])
def test_longer_schedule_changes_nothing_else(changes, method):
    names = (f'faster-rcnn_r50_fpn_{method}-{length}_lvis-v0.5' for length in ('1x', '2x'))
    assert changes(*names).keys() == {
        'train_cfg.max_epochs', 'train_cfg.val_interval', *DECAY}


@pytest.mark.parametrize('name', sorted(
    path.stem for path in CONFIGS.glob('*/*_r101_*.py')
    if not (path.parent / 'plan.json').is_file()))
def test_deeper_backbone_changes_nothing_else(changes, stage1_of, name):
    shallow = name.replace('_r101_', '_r50_')
    found = changes(shallow, name)
    assert found == {'model.backbone.depth': 101, **(
        {'stage1': stage1_of(shallow).replace('_r50_', '_r101_')} if 'stage2' in name
        else {'model.backbone.init_cfg.checkpoint': 'torchvision://resnet101'})}


def test_stage_2_has_the_model_of_its_stage_1_but_for_the_method(stage2_name, stage1_of, changes):
    # No path of a frozen Swin is dropped.
    method = re.compile(r'(type|trainable|fresh|backbone\.(init_cfg|drop_path_rate)'
                        r'|roi_head\.(type|hallucinator|augmenter|calibration_loss|threshold)(\..+)?'
                        # What a frozen extractor allows; the numbers are the same but for rounding.
                        r'|rpn_head\.type|roi_head\.bbox_roi_extractor\.type'
                        r'|roi_head\.bbox_head(\.\d)?\.(loss_cls\..+|init_cfg\.0\.bias(_prob)?'
                        r'|cls_predictor_cfg(\.(type|scale|learns_scale))?)'
                        # Of a test only.
                        r'|test_cfg\.rcnn\.(calibrator|score_thr)'
                        # SimCal's.
                        r'|train_cfg\.rpn_proposal\.max_per_img)')
    paths = [path.removeprefix('model.') for path in changes(stage1_of(stage2_name), stage2_name)
             if path.startswith('model.')]
    assert 'type' in paths and all(method.fullmatch(path) for path in paths)


def test_baseline_of_emoji_lt_differs_from_bacl_in_the_method(changes):
    for preset in ('mini', 'smoke'):
        prefix = f'faster-rcnn_effnet-lite0_emoji-lt-{preset}_stage2'
        found = changes(f'{prefix}-bce', f'{prefix}-bacl')
        assert found.keys() == {
            'model.roi_head.type', HALLUCINATOR, f'{LOSS}.type', f'{LOSS}.alpha',
            f'{LOSS}.prob_thr', f'{LOSS}.indicator', 'custom_hooks'}


def test_joint_training_on_emoji_lt_takes_as_long_as_both_stages(changes, load_config):
    prefix = 'faster-rcnn_effnet-lite0_emoji-lt-mini'
    end_to_end, sce, stage1, stage2 = (f'{prefix}_{name}' for name in (
        'bacl-end-to-end', 'sce', 'stage1', 'stage2-bacl'))
    schedule = {'train_cfg.max_epochs', 'param_scheduler.1.T_max', 'param_scheduler.1.end'}
    assert changes(stage1, sce).keys() == schedule | {
        f'{LOSS}.type', f'{LOSS}.use_sigmoid', f'{LOSS}.loss_weight',
        f'{BOX_HEAD}.init_cfg.0.bias_prob'}
    assert changes(stage2, end_to_end).keys() == schedule | {
        'model.type', 'model.backbone.init_cfg', 'stage1'}
    epochs = {name: load_config(name).train_cfg.max_epochs
              for name in (end_to_end, sce, stage1, stage2)}
    assert epochs[end_to_end] == epochs[sce] == epochs[stage1] + epochs[stage2]


def test_table_of_methods_has_every_family_and_names_what_is_registered():
    text = (CONFIGS / 'README.md').read_text()
    table = text[text.index('## Methods'):text.index('## Index')]
    families = {path.parent.name for path in CONFIGS.glob('[!_]*/README.md')}
    assert {family for family in families if f']({family}/README.md)' in table} == families
    names = re.findall(r'`(\w+)`', ''.join(
        line.rsplit(' | ', 1)[1] for line in table.splitlines() if line.startswith('| [')))
    assert len(names) > 30
    for name in names:
        assert any(registry.get(f'mmdet.{name}') or registry.get(name) for registry in (
            MODELS, DATA_SAMPLERS, DATASETS)), name
