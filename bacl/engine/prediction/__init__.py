"""Predictions on images of one's own: without annotations, a runner or a dataset.

Not loaded by ``import bacl``: mmdet's inferencer takes a while to import.
"""
from .classes import PredictedClasses, read_classes
from .coco_file import CocoFile
from .image_files import ImageFile, find_images
from .predicting import Prediction, predict
from .predictor import Predictor

__all__ = ['CocoFile', 'ImageFile', 'PredictedClasses', 'Prediction', 'Predictor', 'find_images',
           'predict', 'read_classes']
