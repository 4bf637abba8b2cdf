"""The contents of COCO-LT, from the index in the repository of SimCal (arXiv:2007.11978)."""
from typing import NamedTuple


class PublishedCounts(NamedTuple):
    """Numbers of what a long-tailed dataset contains.

    Attributes:
        num_images: images with at least one annotation.
        of_class: per name of a class the number of its annotations, crowds included, and of the
            images with them.
    """

    num_images: int
    of_class: dict[str, tuple[int, int]]


COCO_LT = PublishedCounts(99411, {
    # Group 4: from 8000 instances.
    'person': (262465, 64115), 'car': (43867, 12251), 'chair': (38491, 12774),
    'book': (24715, 5332), 'bottle': (24342, 8501), 'cup': (20650, 9189),
    'dining table': (15714, 11837), 'bowl': (14358, 7111), 'traffic light': (12884, 4139),
    'handbag': (12354, 6841), 'umbrella': (11431, 3968), 'bird': (10806, 3237),
    'boat': (10759, 3025), 'truck': (9973, 6127), 'bench': (9838, 5570), 'sheep': (9509, 1529),
    'banana': (9458, 2243), 'kite': (9076, 2261), 'motorcycle': (8725, 3502),
    'backpack': (8720, 5528),
    # Group 3: 400 to 7999.
    'knife': (7190, 4113), 'cow': (7079, 1873), 'donut': (6594, 1449), 'broccoli': (6394, 1839),
    'sports ball': (6221, 4193), 'tie': (6112, 3644), 'suitcase': (5360, 2212),
    'wine glass': (5047, 2050), 'cell phone': (4699, 3711), 'cake': (4684, 2383),
    'surfboard': (4678, 2872), 'orange': (4042, 1411), 'clock': (4004, 3204),
    'bicycle': (3530, 2084), 'skis': (2902, 1870), 'carrot': (2746, 1186),
    'potted plant': (2689, 1958), 'horse': (1518, 1102), 'vase': (1473, 1170),
    'spoon': (1025, 889), 'tennis racket': (793, 729), 'fork': (774, 713), 'remote': (765, 683),
    'tv': (710, 672), 'teddy bear': (693, 529), 'airplane': (686, 608), 'sandwich': (657, 568),
    'couch': (629, 610), 'apple': (589, 434), 'skateboard': (547, 501), 'zebra': (420, 363),
    'train': (408, 393),
    # Group 2: 20 to 399.
    'giraffe': (383, 351), 'elephant': (374, 320), 'laptop': (286, 278), 'bus': (248, 242),
    'cat': (198, 194), 'dog': (167, 166), 'sink': (114, 113), 'pizza': (100, 97),
    'toilet': (73, 73), 'hair drier': (71, 70), 'baseball bat': (67, 66), 'oven': (65, 65),
    'bear': (61, 58), 'baseball glove': (52, 52), 'mouse': (52, 52), 'microwave': (52, 52),
    'bed': (51, 51), 'refrigerator': (50, 50), 'hot dog': (48, 46), 'toaster': (47, 46),
    'scissors': (24, 23), 'stop sign': (22, 22), 'snowboard': (22, 21), 'keyboard': (21, 21),
    # Group 1: below 20.
    'toothbrush': (15, 14), 'frisbee': (14, 14), 'parking meter': (12, 12),
    'fire hydrant': (11, 11),
})
