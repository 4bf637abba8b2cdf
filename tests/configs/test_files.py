"""Every config as a file: it reads back, and what it names exists and fits together."""
from mmcv.transforms import Compose
from mmdet.registry import DATASETS, HOOKS, METRICS, TRANSFORMS
from mmengine.config import Config, config


def leaves(value):
    """All values of a nested config."""
    if isinstance(value, (dict, list, tuple)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from leaves(item)
    else:
        yield value


def test_values_are_those_that_a_file_can_say(cfg):
    assert {type(value) for value in leaves(cfg.to_dict())} <= {
        bool, int, float, str, type(None)}


def test_dumped_config_reads_back(family, config_paths, load_config, monkeypatch):
    # Layout costs nearly all the time and changes no value.
    monkeypatch.setattr(config, 'FormatCode', lambda text, **kwargs: (text, False))
    cfg = load_config(next(name for name, path in config_paths.items()
                           if path.parent.name == family))
    assert Config.fromstring(cfg.pretty_text, '.py').to_dict() == cfg.to_dict()


def test_components_are_registered_and_pipelines_and_hooks_build(cfg, innermost):
    for split in ('train', 'val', 'test'):
        outermost = cfg[f'{split}_dataloader'].dataset
        for dataset in (outermost, innermost(outermost)):
            assert DATASETS.get(dataset.type) is not None
            Compose(dataset.get('pipeline', []))
    for evaluator in (cfg.val_evaluator, cfg.test_evaluator):
        assert METRICS.get(evaluator.type) is not None
    for hook in cfg.default_hooks.values():
        assert HOOKS.get(hook.type) is not None
    for hook in cfg.get('custom_hooks', []):
        HOOKS.build(hook)


def test_evaluator_and_dataset_read_one_file(cfg, innermost):
    for split in ('val', 'test'):
        dataset, evaluator = cfg[f'{split}_dataloader'].dataset, cfg[f'{split}_evaluator']
        assert evaluator.ann_file == dataset.data_root + dataset.ann_file
        if 'emoji_lt' in evaluator.ann_file:
            assert evaluator.exhaustive_ann_file == evaluator.ann_file.replace(
                'val.json', 'val_exhaustive.json')
        if evaluator.type == 'CocoLTMetric':  # groups the classes by their training instances
            train = innermost(cfg.train_dataloader.dataset)
            assert evaluator.train_ann_file == train.data_root + train.ann_file


def test_evaluator_counts_what_the_model_returns(cfg):
    for evaluator in (cfg.val_evaluator, cfg.test_evaluator):
        test_cfg = cfg.model.test_cfg
        max_per_img = test_cfg.get('rcnn', test_cfg).max_per_img
        if evaluator.type == 'CocoLTMetric':  # its cap holds for an image and category
            assert evaluator.max_dets <= max_per_img
            continue
        # Of Emoji-LT's, reports show what lies beyond the cap.
        is_emoji = 'emoji_lt' in evaluator.ann_file
        assert (evaluator.max_dets, max_per_img) == ((30, 300) if is_emoji else (300, 300))
        has_masks = 'mask_head' in cfg.model.get('roi_head', {})
        assert evaluator.metric == (['bbox', 'segm'] if has_masks else 'bbox')


def test_images_have_masks_where_something_needs_them(cfg, innermost):
    outermost = cfg.train_dataloader.dataset
    load, = [TRANSFORMS.build(t) for t in innermost(outermost).pipeline
             if t.type in ('LoadAnnotations', 'LoadCroppedMasks')]
    pastes = any(t.type == 'CroppedCopyPaste' for t in outermost.get('pipeline', []))
    has_mask_head = 'mask_head' in cfg.model.get('roi_head', {})
    assert load.with_bbox and load.with_mask == (pastes or has_mask_head)
    assert cfg.model.data_preprocessor.get('pad_mask', False) == has_mask_head
