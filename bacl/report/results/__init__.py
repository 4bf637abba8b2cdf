"""Results of a run: numbers from its detections and the annotations."""
from .average_precision import AveragePrecision, average_precision, group_averages
from .bootstrap import drawn_ap, interval, paired_bootstrap
from .calibration import calibration_error, reliability
from .class_ap import class_ap_frame
from .comparison import class_gains, comparison_table
from .confusion import confused_pairs, confused_pairs_of_matrix
from .detection_cap import ap_by_cap, fixed_ap
from .error_types import ERROR_TYPES, error_types
from .matches import Matches, Objects, check_same_data, match_coco_lt, match_lvis
from .style_recall import StyleRecall, style_recall

__all__ = [
    'ERROR_TYPES', 'AveragePrecision', 'Matches', 'Objects', 'StyleRecall', 'ap_by_cap',
    'average_precision', 'calibration_error', 'check_same_data', 'class_ap_frame', 'class_gains',
    'comparison_table', 'confused_pairs', 'confused_pairs_of_matrix', 'drawn_ap', 'error_types',
    'fixed_ap', 'group_averages', 'interval', 'match_coco_lt', 'match_lvis',
    'paired_bootstrap', 'reliability', 'style_recall'
]
