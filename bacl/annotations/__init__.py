"""Annotation files: reading them, saying what is wrong with them, counting their classes."""
from .class_table import ClassTable, FrequencyGroup
from .coco import read_class_table
from .files import read_annotations

__all__ = ['ClassTable', 'FrequencyGroup', 'read_annotations', 'read_class_table']
