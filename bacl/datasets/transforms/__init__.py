"""Transforms of training images."""
from .drop_empty_gt import DropEmptyGT

__all__ = ['DropEmptyGT']
