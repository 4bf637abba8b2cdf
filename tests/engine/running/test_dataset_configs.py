import bacl  # noqa: F401
from bacl.engine.running.dataset_configs import unwrapped_datasets
from mmengine.config import ConfigDict


def test_datasets_are_found_in_wrappers_of_wrappers():
    plain, repeated = dict(type='A'), dict(type='B')
    wrapped = ConfigDict(type='ConcatDataset', datasets=[
        plain, dict(type='RepeatDataset', dataset=dict(type='MultiImageMix', dataset=repeated))])
    assert [config.type for config in unwrapped_datasets(wrapped)] == ['A', 'B']
    assert [config.type for config in unwrapped_datasets(ConfigDict(plain))] == ['A']
