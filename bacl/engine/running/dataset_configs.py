"""The datasets that a config describes."""
from collections.abc import Iterator

from bacl.datasets.long_tail import LongTailMixin
from mmdet.registry import DATASETS
from mmengine.config import Config, ConfigDict

from .config_types import is_type


def unwrapped_datasets(dataset: ConfigDict) -> Iterator[ConfigDict]:
    """Iterate over the datasets inside wrappers such as RepeatDataset and ConcatDataset.

    Args:
        dataset: config of a dataset, of a wrapper, or of wrappers in wrappers.
    """
    parts = [dataset.dataset] if 'dataset' in dataset else dataset.get('datasets')
    if parts is None:
        yield dataset
    else:
        for part in parts:
            yield from unwrapped_datasets(part)


def evaluated_datasets(cfg: Config, argument: str) -> list[ConfigDict]:
    """The datasets of the test, inside their wrappers.

    Args:
        cfg: config of the run.
        argument: what needs them, for the message.

    Raises:
        ValueError: if there is no ``test_dataloader``.
    """
    if not cfg.get('test_dataloader'):
        raise ValueError(f'{argument} expects a test_dataloader in the config, got none.')
    return list(unwrapped_datasets(cfg.test_dataloader.dataset))


def skip_unreadable_images(cfg: Config) -> None:
    """Let the datasets of the test go on without images that are missing or unreadable.

    Args:
        cfg: config of the run, changed in place.

    Raises:
        ValueError: if one of them is not of this package; only these have ``skip_unreadable``.
    """
    for dataset in evaluated_datasets(cfg, '--skip-unreadable'):
        if not is_type(dataset, DATASETS, LongTailMixin, cfg.get('default_scope')):
            raise ValueError(
                '--skip-unreadable expects a LongTailLVISV1Dataset, LongTailLVISV05Dataset or '
                f'CocoLTDataset in the test_dataloader, got {dataset.get("type")!r}. Leave '
                '--skip-unreadable out, or change the type of the dataset.')
        dataset.skip_unreadable = True
