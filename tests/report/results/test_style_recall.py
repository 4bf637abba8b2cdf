import bacl  # noqa: F401
import pytest
from bacl.report.results import StyleRecall, match_lvis, style_recall

BOXES = [(20 * n, 0, 10, 10) for n in range(5)]
DATA = dict(
    images=[dict(id=1, neg_category_ids=[], not_exhaustive_category_ids=[])],
    categories=[dict(id=8, name='b', frequency='r'), dict(id=2, name='a', frequency='f')],
    annotations=[dict(id=n, image_id=1, category_id=category, bbox=list(BOXES[n]), area=100,
                      ignore=int(n == 3)) for n, category in enumerate((8, 8, 8, 8, 2))])


def test_objects_of_the_group_are_counted_by_style_and_class(detections_of):
    found = detections_of([(1, 8, 0.9, BOXES[0]), (1, 8, 0.8, BOXES[3]), (1, 2, 0.7, BOXES[4]),
                           (1, 8, 0.6, BOXES[2])])
    styles = ['line', 'line', 'shade', 'line', 'shade']
    trained = [(1, 'line'), (0, 'shade')]  # class 8 is the second by its id
    # Object 3 is ignored, object 4 is of another group.
    matches = match_lvis(DATA, found, max_dets=10)
    assert style_recall(matches, styles, trained, 'r') == StyleRecall(2, 1, 1, 1)
    assert style_recall(matches, styles, trained, 'f') == StyleRecall(1, 1, 0, 0)
    assert style_recall(matches, styles, trained[:1], 'f') == StyleRecall(0, 0, 1, 1)
    below_the_cap = match_lvis(DATA, found, max_dets=3)
    assert style_recall(below_the_cap, styles, trained, 'r') == StyleRecall(2, 1, 1, 0)
    with pytest.raises(ValueError, match='one for each of the 5 objects, got 4'):
        style_recall(matches, styles[:4], trained, 'r')
