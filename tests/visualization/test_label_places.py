from bacl.visualization.label_places import Place, place_labels


def test_a_label_stands_above_its_box_or_where_the_image_has_room():
    boxes = [(20, 50, 30, 30), (90, 50, 30, 30), (-5, 2, 30, 10)]
    assert place_labels(boxes, [40, 40, 40], 10, 100, 100) == [
        Place(20, 47.5), Place(60, 47.5), Place(0, 10)]


def test_the_last_box_chooses_first_and_those_without_room_have_none():
    boxes = [(0, 50, 60, 60)] * 5
    places = place_labels(boxes, [20] * 5, 10, 200, 200)
    assert places[0] is None
    assert [place.base for place in places[:0:-1]] == [47.5, 60, 120, 107.5]
    assert place_labels([], [], 10, 200, 200) == []


def test_a_text_wider_than_the_image_begins_at_its_edge():
    assert place_labels([(50, 50, 9, 9)], [500], 10, 100, 100) == [Place(0, 47.5)]
