import bacl  # noqa: F401
import pytest
from bacl.evaluation.functional.arguments import check_iou_type, check_positive_int


@pytest.mark.parametrize('value', [0, -1, 1.0, True, None, '3'])
def test_what_is_no_positive_int_is_refused(value):
    check_positive_int(1, 'f(a=)')
    with pytest.raises(ValueError, match=rf'f\(a=\) expects a positive int, got {value}\.'):
        check_positive_int(value, 'f(a=)')


def test_other_kinds_of_regions_than_boxes_and_masks_are_refused():
    check_iou_type('bbox', 'f(a=)')
    check_iou_type('segm', 'f(a=)')
    with pytest.raises(ValueError, match=r"f\(a=\) expects one of .*, got box\."):
        check_iou_type('box', 'f(a=)')
