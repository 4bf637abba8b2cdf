"""Annotation files: reading them, saying what is wrong with them, counting their classes."""
from .class_counts import ClassCounts, count_classes
from .coco import read_class_counts
from .files import read_annotations

__all__ = ['ClassCounts', 'count_classes', 'read_annotations', 'read_class_counts']
