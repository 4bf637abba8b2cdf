import bacl  # noqa: F401
import pytest
from bacl.datasets import CocoLTDataset, LongTailLVISV1Dataset
from bacl.engine.running.dataset_configs import skip_unreadable_images, unwrapped_datasets
from mmengine.config import Config, ConfigDict


def test_datasets_are_found_in_wrappers_of_wrappers():
    plain, repeated = dict(type='A'), dict(type='B')
    wrapped = ConfigDict(type='ConcatDataset', datasets=[
        plain, dict(type='RepeatDataset', dataset=dict(type='MultiImageMix', dataset=repeated))])
    assert [config.type for config in unwrapped_datasets(wrapped)] == ['A', 'B']
    assert [config.type for config in unwrapped_datasets(ConfigDict(plain))] == ['A']


def evaluating(*datasets):
    return Config(dict(test_dataloader=dict(dataset=dict(
        type='ConcatDataset', datasets=[dict(type=kind) for kind in datasets]))))


def test_unreadable_images_are_skipped_by_our_datasets_however_they_are_named():
    class Mine(LongTailLVISV1Dataset):
        pass

    cfg = evaluating('CocoLTDataset', 'mmdet.LongTailLVISV05Dataset', 'bacl.datasets.CocoLTDataset',
                 CocoLTDataset, Mine)
    skip_unreadable_images(cfg)
    assert [part.get('skip_unreadable') for part in cfg.test_dataloader.dataset.datasets] == \
        [True] * 5


@pytest.mark.parametrize('kind', ['LVISV1Dataset', 'Unknown', 'nowhere.CocoLTDataset', dict])
def test_unreadable_images_are_skipped_by_our_datasets_only(kind):
    with pytest.raises(ValueError, match='--skip-unreadable expects .* got ') as error:
        skip_unreadable_images(evaluating('CocoLTDataset', kind))
    assert repr(kind) in str(error.value)


def test_unreadable_images_of_no_dataset_cannot_be_skipped():
    with pytest.raises(ValueError, match='--skip-unreadable expects a test_dataloader'):
        skip_unreadable_images(Config(dict(test_dataloader=None)))
