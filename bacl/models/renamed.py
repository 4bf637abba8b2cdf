"""Names that components had before; a config that uses one is told the new one."""
from mmdet.registry import MODELS

RENAMED = {
    'EQLv2Loss': 'EqualizationLossV2',
    'EarlyStopRoIHead': 'LongTailRoIHead',
    'EarlyStopCascadeRoIHead': 'LongTailCascadeRoIHead',
}


def _refuse(old: str, new: str) -> type:
    """A component that cannot be built; check_config, which comes first, says the same."""

    def __init__(self, *_, **__) -> None:  # noqa: N807
        raise ValueError(f"type='{old}' is now called '{new}': change the name in the config.")

    return type(old, (), {'__init__': __init__, '__doc__': f'Former name of ``{new}``.'})


for _old, _new in RENAMED.items():
    MODELS.register_module(name=_old, module=_refuse(_old, _new))

__all__ = ['RENAMED']
