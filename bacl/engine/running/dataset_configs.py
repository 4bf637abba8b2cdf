"""The datasets that a config describes."""
from collections.abc import Iterator

from mmengine.config import ConfigDict


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
