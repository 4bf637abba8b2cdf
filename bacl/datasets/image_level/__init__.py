"""Images of which only their class is known, beside detection data."""
from .coarse_box import LoadCoarseBox
from .dataset import ImageLevelDataset
from .joint_dataset import JointDataset
from .joint_sampler import JointSampler
from .mosaic import ImageLevelMosaic
from .paste_regions import paste_image_level_regions

__all__ = ['ImageLevelDataset', 'ImageLevelMosaic', 'JointDataset', 'JointSampler',
           'LoadCoarseBox', 'paste_image_level_regions']
