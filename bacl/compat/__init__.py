"""Needs of the package in Python, torch, mmcv, mmengine and mmdet; imports nothing else of it."""


def prepare() -> None:
    """Check the versions, then supply what mmcv and mmengine lack.

    Raises:
        ImportError: if a package is missing or outside its version window.
    """
    from bacl.compat.versions import check_versions

    check_versions()

    # After the check: these modules import torch and mmengine.
    from bacl.compat import checkpoints, mmcv_ops

    mmcv_ops.install()
    checkpoints.register()


__all__ = ['prepare']
